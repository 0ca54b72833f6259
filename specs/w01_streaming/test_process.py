"""The process: its one line, its folder, its settings, and the first way in."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from specs.requirements import requirement
from specs.support.process import (
    RUNCHAT,
    WAIT_S,
    Served,
    environment,
    runchat,
    said,
    served,
)

UNWRITABLE = Path("/System/runchat" if sys.platform == "darwin" else "/proc/runchat")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def service(data: Path) -> Iterator[Served]:
    with served(data) as service:
        yield service


def mode(path: Path) -> str:
    return stat.filemode(path.stat().st_mode)


@requirement(
    "process.ready-line",
    "process.free-port",
    "process.ready-accepts",
    "folder.service-file",
    "signin.first-token",
)
def test_one_line_on_stdout_says_where_the_service_accepts_connections(service: Served) -> None:
    health = service.api.get("/api/health").json()
    assert health["status"] == "ok"
    expected = {"ready": True, "url": service.url, "pid": service.pid, "version": health["version"]}
    assert json.loads(service.out) == expected
    assert service.port != 0

    announced = json.loads((service.data / "service.json").read_bytes())
    assert announced == {"url": service.url, "pid": service.pid, "version": health["version"]}
    assert mode(service.data / "service.json") == "-rw-------"
    assert mode(service.data / "token") == "-rw-------"
    assert mode(service.data) == "drwx------"
    assert service.get("/api/session") == {"tenant": "local", "user": "owner", "admin": True}

    assert service.stop() == 0
    assert service.out.count("\n") == 1


@requirement("process.logs-on-stderr")
def test_logs_are_structured_lines_on_stderr_with_request_and_job_ids(service: Served) -> None:
    answer = service.api.post(
        f"/api/conversations/{service.conversation()}/jobs", json={"input": "a"}
    )
    job = answer.json()["id"]
    service.whole(job)
    assert service.stop() == 0
    lines = [json.loads(line) for line in service.log.read_text("utf-8").splitlines()]
    request_id = answer.headers["x-request-id"]
    assert [line["event"] for line in lines if line.get("request_id") == request_id] == [
        "job_taken",
        "answered",
    ]
    assert [line["event"] for line in lines if line.get("job_id") == job] == [
        "job_taken",
        "job_ended",
    ]
    assert {line["level"] for line in lines} == {"info"}


@requirement("process.logs-hold-no-secrets")
def test_no_log_line_holds_what_a_user_wrote_or_a_credential(data: Path) -> None:
    with served(data, RUNCHAT_LOG__LEVEL="debug") as service:
        link = runchat("link", "--data", data).stdout.strip()
        cookie = httpx.get(link, timeout=WAIT_S).cookies["runchat_session"]
        job = service.ask(service.conversation(), input="a marmalade secret")
        assert said(service.whole(job)) == "a marmalade secret"
        service.api.get("/api/session?token=marmalade-in-a-query")
        token = service.token
        service.stop()
    log = service.log.read_text("utf-8")
    secrets = ("marmalade", cookie, token, link.partition("code=")[2])
    assert [word for word in secrets if word in log] == []
    assert job in log


@requirement("process.exit-with-parent")
def test_it_ends_cleanly_when_its_stdin_closes(data: Path) -> None:
    with served(data, "--exit-with-parent") as service:
        service.close_stdin()
        assert service.exit() == 0
    assert not (data / "service.json").exists()


@requirement("process.exit-with-parent")
def test_without_the_flag_the_end_of_stdin_ends_nothing(service: Served) -> None:
    service.close_stdin()
    job = service.ask(service.conversation(), input="still here")
    assert said(service.whole(job)) == "still here"


@requirement("folder.one-owner")
def test_a_second_serve_on_one_folder_exits_3_and_names_the_first(service: Served) -> None:
    second = runchat("serve", "--port", 0, "--data", service.data)
    assert second.returncode == 3
    assert second.stdout == ""
    expected = f"runchat: Another service uses {service.data}. It answers at {service.url}.\n"
    assert second.stderr == expected


@requirement("folder.lock-dies-with-owner", "folder.found-by-service-file")
def test_the_folder_of_a_killed_service_opens_again_and_its_old_url_is_not_believed(
    service: Served,
) -> None:
    service.kill()
    assert (service.data / "service.json").is_file()
    lost = runchat("jobs", "--data", service.data)
    assert (lost.returncode, lost.stdout) == (1, "")
    expected = f"runchat: no service runs on {service.data}; start one with `runchat serve`\n"
    assert lost.stderr == expected
    service.start()
    assert runchat("jobs", "--data", service.data).returncode == 0


@requirement("folder.read-only")
def test_a_folder_that_cannot_be_written_is_a_clear_error() -> None:
    done = runchat("serve", "--port", 0, "--data", UNWRITABLE)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(f"runchat: {UNWRITABLE} cannot be written: ")
    assert done.stderr.count("\n") == 1


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    done = runchat("serve", "--port", 0, "--data", tmp_path / "data")
    assert (done.returncode, done.stderr) == (4, f"runchat: {tmp_path}/data is no folder.\n")


def test_a_database_that_is_none_is_refused_and_left_as_it_was(data: Path) -> None:
    data.mkdir()
    (data / "runchat.db").write_bytes(b"this is not a database at all" * 100)
    done = runchat("serve", "--port", 0, "--data", data)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert (data / "runchat.db").read_bytes() == b"this is not a database at all" * 100


@requirement("folder.newer-is-refused", "folder.only-serve-migrates")
def test_a_newer_database_is_refused_by_every_command_and_left_as_it_was(service: Served) -> None:
    service.stop()
    database = service.data / "runchat.db"
    with sqlite3.connect(database) as newer:
        newer.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('runchat', '9999_later', 'x')"
        )
    newer.close()
    before = database.read_bytes()
    served = runchat("serve", "--port", 0, "--data", service.data)
    words = "runchat: This program is too old for the database: it lacks 9999_later.\n"
    assert (served.returncode, served.stdout, served.stderr) == (4, "", words)
    listed = runchat("token", "list", "--data", service.data)
    assert (listed.returncode, listed.stdout, listed.stderr) == (1, "", words)
    copied = runchat("backup", service.data / "copy", "--data", service.data)
    assert (copied.returncode, copied.stderr) == (1, words)
    assert database.read_bytes() == before


@requirement("folder.only-serve-migrates")
def test_an_older_database_is_migrated_by_serve_and_by_nothing_else(data: Path) -> None:
    data.mkdir()
    sqlite3.connect(data / "runchat.db").close()
    (data / "runchat.db").touch()
    listed = runchat("token", "list", "--data", data)
    words = "runchat: Start `runchat serve` once, which brings the database up to date.\n"
    assert (listed.returncode, listed.stderr) == (1, words)
    with served(data) as service:
        assert len(runchat("token", "list", "--data", service.data).stdout.splitlines()) == 1


@requirement("settings.unknown-name")
def test_a_wrong_setting_ends_the_start_with_a_sentence(data: Path) -> None:
    env = environment(RUNCHAT_SERVER__PORTT="1")
    done = runchat("serve", "--data", data, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "server.portt" in done.stderr
    assert not data.exists()


@pytest.mark.parametrize("url", ["https://a b/v1", "https://[::1/v1", "https://0x7f.1/v1"])
def test_an_address_that_no_endpoint_can_have_ends_the_start_with_a_sentence(
    data: Path, url: str
) -> None:
    env = environment(RUNCHAT_ENDPOINTS__UP__BASE_URL=url)
    done = runchat("serve", "--port", 0, "--data", data, env=env)
    said = [line for line in done.stderr.splitlines() if line.startswith("runchat: ")]
    assert (done.returncode, done.stdout, len(said)) == (2, "", 1)
    assert said[0].startswith("runchat: endpoints.up.base_url: ")
    assert "Traceback" not in done.stderr


@requirement("settings.loopback")
def test_a_bind_beyond_loopback_wants_tls_or_a_proxy(data: Path) -> None:
    done = runchat("serve", "--port", 0, "--host", "0.0.0.0", "--data", data)  # noqa: S104
    assert done.returncode == 2
    assert done.stderr.startswith("runchat: server.host 0.0.0.0 wants ")
    alone = runchat(
        *("serve", "--port", 0, "--host", "0.0.0.0", "--behind-proxy", "--data", data)  # noqa: S104
    )
    assert (alone.returncode, "server.trusted_proxies" in alone.stderr) == (2, True)


@requirement("settings.sources")
def test_a_flag_goes_before_the_environment_and_that_before_the_file(data: Path) -> None:
    config = data.with_name("config.toml")
    config.write_text(
        '[models]\ndefault = "synthetic/tokens"\n[server]\nport = 1\n', encoding="utf-8"
    )
    with served(data, "--config", str(config)) as service:
        job = service.ask(service.conversation(), input="who?")
        assert service.job(job)["model"] == "echo"  # the environment's
        assert service.port != 1


def test_an_address_in_use_is_a_clear_error(service: Served, tmp_path: Path) -> None:
    done = runchat("serve", "--port", service.port, "--data", tmp_path / "other")
    words = f"runchat: cannot listen on 127.0.0.1:{service.port}: "
    assert (done.returncode, done.stderr[: len(words)]) == (1, words)
    assert done.stderr.count("\n") == 1


@requirement("signin.session-survives-restart", "signin.link-command")
def test_a_session_by_a_printed_link_is_alive_after_a_restart(service: Served) -> None:
    first, second = (runchat("link", "--data", service.data).stdout.strip() for _ in range(2))
    assert first != second
    assert first.startswith(f"{service.url}/signin?code=")
    cookie = dict(httpx.get(first, timeout=WAIT_S).cookies)
    service.stop()
    service.start()
    with httpx.Client(base_url=service.url, cookies=cookie, timeout=WAIT_S) as browser:
        assert browser.get("/api/session").json()["user"] == "owner"
    answer = httpx.get(second, timeout=WAIT_S)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@requirement("signin.link-on-terminal")
def test_on_a_terminal_one_working_link_is_printed(data: Path) -> None:
    import pty  # noqa: PLC0415  not everywhere

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [RUNCHAT, "serve", "--port", "0", "--data", str(data)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(RUNCHAT_LOG__LEVEL="error"),
    )
    os.close(theirs)
    try:
        shown = ""
        while "code=" not in shown or not shown.endswith("\n"):
            shown += os.read(ours, 4096).decode()
        [link] = [word for word in shown.split() if "/signin?code=" in word]
        assert httpx.get(link, timeout=WAIT_S).status_code == 303
        assert shown.count("code=") == 1
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=WAIT_S)
        os.close(ours)
    assert (process.returncode, out) == (0, b"")


@requirement("idempotency.restart")
def test_a_key_is_kept_over_a_kill_and_a_start(service: Served) -> None:
    headers, body = {"Idempotency-Key": "k1"}, {"title": "once"}
    first = service.api.post("/api/conversations", json=body, headers=headers)
    service.kill()
    service.start()
    second = service.api.post("/api/conversations", json=body, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["Idempotent-Replayed"] == "true"
