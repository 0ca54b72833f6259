"""`runchat chat`: one answer, a conversation, a service of its own, and one that goes and comes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from specs.requirements import requirement
from specs.support.cutting import Cutting
from specs.support.process import (
    RUNCHAT,
    WAIT_S,
    Served,
    environment,
    is_gone_within,
    runchat,
    said,
    served,
    shared,
)

__all__ = ["shared"]


@contextmanager
def started(*words: object, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command under way, killed at the end if it has not ended."""
    process = subprocess.Popen(
        [RUNCHAT, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**env),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def service_of(data: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((data / "service.json").read_bytes())
    return found


# --- chat, once ---


@requirement("chat.one-answer", "chat.credentials")
def test_chat_prints_the_answer_and_nothing_else(shared: Served, tmp_path: Path) -> None:
    words = "naïve  words\n\tand 日本語 🙂"
    done = runchat("chat", "--data", shared.data, words)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{words}\n", "")
    piped = runchat("chat", "--data", shared.data, "-", input="a piped question\n")
    assert (piped.returncode, piped.stdout) == (0, "a piped question\n")

    by_env = environment(RUNCHAT_TOKEN=shared.token)
    assert runchat("chat", "--url", shared.url, "hi", env=by_env).stdout == "hi\n"
    file = tmp_path / "token"
    file.write_text(f"{shared.token}\n", encoding="utf-8")
    by_file = runchat("chat", "--url", shared.url, "--token-file", file, "hi")
    assert by_file.stdout == "hi\n"
    wrong = runchat("chat", "--url", shared.url, "hi", env=environment(RUNCHAT_TOKEN="wrong"))
    expected = "runchat: A valid token or a session is needed.\n"
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (1, "", expected)


@requirement("chat.json")
def test_chat_as_json_prints_the_events_unchanged(shared: Served) -> None:
    done = runchat("chat", "--data", shared.data, "--json", "one two three")
    lines = done.stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert (done.returncode, done.stderr) == (0, "")
    assert said(events) == "one two three"
    [job] = shared.get("/api/jobs?limit=1")["items"]
    raw = shared.api.get(f"/api/jobs/{job['id']}/events").text
    assert [line for line in lines if line not in raw] == []
    assert len(events) == job["head"]


@requirement("chat.failed")
def test_chat_exits_1_when_there_is_no_such_model(shared: Served) -> None:
    done = runchat("chat", "--data", shared.data, "--model", "nobody", "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "runchat: There is no such model.\n"


@requirement("chat.failed")
def test_chat_exits_1_when_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.settimeout(WAIT_S)
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        env = environment(RUNCHAT_TOKEN="any")
        done = runchat("jobs", "--url", url, env=env)
        asked = runchat("chat", "--url", url, "hi", env=env)
    assert (done.returncode, done.stderr) == (1, f"runchat: no service answers at {url}\n")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr.splitlines()[-1] == f"runchat: no service answers at {url}"


@requirement("chat.aborted")
def test_ctrl_c_aborts_the_job_and_keeps_what_was_said(tmp_path: Path) -> None:
    with served(tmp_path / "data", RUNCHAT_MODELS__DEFAULT="local/smollm2") as service:
        env = {"RUNCHAT_MODELS__DEFAULT": "local/smollm2"}
        with started("chat", "--data", service.data, "Count to a million.", **env) as chat:
            assert chat.stdout is not None
            first = os.read(chat.stdout.fileno(), 4096)
            chat.send_signal(signal.SIGINT)
            rest, err = chat.communicate(timeout=WAIT_S)
        assert chat.returncode == 130
        assert "the answer was stopped" in err.decode()
        [job] = service.get("/api/jobs")["items"]
        assert job["status"] == "aborted"
        assert (first + rest).decode().rstrip("\n") == job["items"][0]["text"].rstrip("\n")


@requirement("chat.one-answer")
def test_a_reader_of_stdout_that_leaves_ends_chat_quietly_and_stops_the_job(
    tmp_path: Path,
) -> None:
    with served(tmp_path / "data") as service:
        conversation = "x" * 400_000
        with started("chat", "--data", service.data, "-") as chat:
            assert chat.stdin is not None
            assert chat.stdout is not None
            assert chat.stderr is not None
            chat.stdin.write(f"{conversation} and on {conversation}".encode())
            chat.stdin.close()
            assert os.read(chat.stdout.fileno(), 3) == b"xxx"
            chat.stdout.close()
            assert chat.wait(timeout=WAIT_S) == 141
            assert chat.stderr.read() == b""
            chat.stdin = chat.stdout = None


# --- chat, a conversation ---


@requirement("chat.conversation")
def test_a_conversation_answers_line_after_line_until_quit(shared: Served) -> None:
    words = "first question\n\nsecond question\n/quit\nnever asked\n"
    done = runchat("chat", "--data", shared.data, input=words)
    assert (done.returncode, done.stdout) == (0, "first question\nsecond question\n")
    second, first = shared.get("/api/jobs?limit=2")["items"]
    assert first["conversation_id"] == second["conversation_id"]
    path = f"/api/conversations/{first['conversation_id']}/messages"
    texts = [message["parts"][0]["text"] for message in shared.get(path)["items"]]
    assert texts == ["first question", "first question", "second question", "second question"]


class Screen:
    """A terminal with a person before it: what is shown, and what is typed."""

    def __init__(self, *words: object, **env: str) -> None:
        import pty  # noqa: PLC0415  not everywhere

        self.ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [RUNCHAT, *map(str, words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(**env),
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, words: str) -> None:
        """Read until these words are on the screen after what was waited for before."""
        while words not in self.shown:
            self.shown += os.read(self.ours, 4096).decode("utf-8", "replace")
        self.shown = self.shown.partition(words)[2]

    def type(self, words: str) -> None:
        os.write(self.ours, words.encode())

    def exit(self) -> int:
        with suppress(OSError):  # a terminal whose last user has left
            while os.read(self.ours, 4096):
                pass
        return self.process.wait(timeout=WAIT_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=WAIT_S)
        os.close(self.ours)


@requirement("chat.conversation", "chat.aborted")
def test_at_a_terminal_ctrl_c_stops_an_answer_and_the_conversation_goes_on(
    tmp_path: Path,
) -> None:
    with served(tmp_path / "data") as service:
        with closing(Screen("chat", "--data", service.data, "--model", "local/smollm2")) as screen:
            screen.until("> ")
            screen.type("Count to a million.\n")
            job = running_job(service)
            service.until(job, lambda events: len(events) > 3)
            os.killpg(screen.process.pid, signal.SIGINT)
            screen.until("the answer was stopped")
            screen.until("> ")
            screen.type("/quit\n")
            assert screen.exit() == 0
        assert service.job(job)["status"] == "aborted"


@requirement("chat.aborted", "chat.starts-a-service")
def test_ctrl_c_is_for_chat_and_not_for_the_service_that_it_started(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with closing(Screen("chat", "--data", data, "--model", "local/smollm2")) as screen:
        screen.until("> ")
        screen.type("Count to a million.\n")
        screen.until("\x1b[K")  # the spinner has made room for the first word
        pid = service_of(data)["pid"]
        os.killpg(screen.process.pid, signal.SIGINT)
        screen.until("the answer was stopped")
        screen.until("> ")
        screen.type("Say yes.\n")
        screen.until("\x1b[K")
        assert service_of(data)["pid"] == pid
        os.killpg(screen.process.pid, signal.SIGINT)
        screen.until("the answer was stopped")
        screen.type("/quit\n")
        assert screen.exit() == 0


@requirement("chat.aborted")
def test_at_a_terminal_a_spinner_turns_until_the_first_word(tmp_path: Path) -> None:
    words = ("chat", "--data", tmp_path / "data", "--model", "local/smollm2", "Hello!")
    with closing(Screen(*words)) as screen:
        screen.until("⠋")
        screen.until("\r\x1b[K")
        assert screen.exit() == 0
    with closing(Screen(*words, NO_COLOR="1")) as plain:
        plain.until("⠋")
        assert "\x1b[2m" not in plain.shown
        assert plain.exit() == 0


def running_job(service: Served) -> str:
    """The id of the one job that runs, once there is one."""
    while not (jobs := service.get("/api/jobs?status=running")["items"]):
        pass
    return str(jobs[0]["id"])


# --- a service of one's own ---


@requirement("chat.starts-a-service")
def test_chat_starts_a_service_where_none_runs_and_ends_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = runchat("chat", "--data", data, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert not (data / "service.json").exists()
    assert runchat("jobs", "--data", data).returncode == 1


@requirement("chat.starts-a-service")
def test_what_chat_started_ends_also_when_chat_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started("chat", "--data", data) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(b"hello\n")
        chat.stdin.flush()
        assert chat.stdout.readline() == b"hello\n"
        pid = int(str(service_of(data)["pid"]))
        chat.kill()
        assert is_gone_within(pid, WAIT_S)
    assert not (data / "service.json").exists()


@requirement("chat.starts-a-service")
def test_a_service_that_cannot_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    done = runchat("chat", "--data", tmp_path / "data", "hello")
    words = f"runchat: no service could be started: {tmp_path}/data is no folder.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", words)


@requirement("chat.racing-starters")
def test_racing_starters_share_the_winners_service(tmp_path: Path) -> None:
    data = tmp_path / "data"
    chats = [
        subprocess.Popen(
            [RUNCHAT, "chat", "--data", str(data), f"from {number}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        for number in range(4)
    ]
    answers = [chat.communicate(timeout=2 * WAIT_S) for chat in chats]
    assert [out.decode() for out, _ in answers] == [f"from {number}\n" for number in range(4)]
    assert [chat.returncode for chat in chats] == [0] * 4
    with served(data) as service:
        assert len(service.get("/api/jobs")["items"]) == 4


# --- a service that goes and comes back ---


@requirement("chat.survives-restart")
def test_a_broken_connection_costs_chat_not_a_word(shared: Served) -> None:
    words = " ".join(f"word{number}" for number in range(3000))
    with closing(Cutting(shared.port, [4000, 5000, 30_000, 70_000])) as cutting:
        env = environment(RUNCHAT_TOKEN=shared.token)
        done = runchat("chat", "--url", cutting.url, "-", input=words, env=env)
        assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{words}\n")
        assert cutting.connections > 4


@requirement("chat.survives-restart")
def test_chat_goes_on_after_a_restart_and_tells_the_truth_of_a_broken_answer(
    tmp_path: Path,
) -> None:
    with served(tmp_path / "data", RUNCHAT_MODELS__DEFAULT="local/smollm2") as service:
        with started("chat", "--data", service.data) as chat:
            assert chat.stdin is not None
            assert chat.stdout is not None
            chat.stdin.write(b"Count to a million.\n")
            chat.stdin.flush()
            first = os.read(chat.stdout.fileno(), 4096)
            service.kill()
            assert chat.stderr is not None
            told = chat.stderr.readline().decode()
            words = f"the service on {service.data} is gone; waiting for it to come back\n"
            assert told == words  # and the folder is left to whoever restarts it
            service.port = 0  # it comes back elsewhere
            service.start()
            chat.stdin.write(b"Are you there?\n")
            chat.stdin.close()
            chat.stdin = None
            rest, err = chat.communicate(timeout=2 * WAIT_S)
        second, broken = service.get("/api/jobs")["items"]
        assert (broken["status"], second["status"]) == ("interrupted", "completed")
        out = f"{broken['items'][0]['text']}\n{second['items'][0]['text']}\n"
        assert (first + rest).decode() == out
        assert "the service stopped in the middle of the answer" in err.decode()
