"""The command line, as a person and as a script use it: real processes against a real service."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from specs.requirements import requirement
from specs.support.process import (
    WAIT_S,
    Served,
    runchat,
    said,
    served,
    shared,
)

__all__ = ["shared"]


# --- help ---


def test_help_names_every_command() -> None:
    done = runchat("--help")
    assert (done.returncode, done.stderr) == (0, "")
    commands = ["serve", "chat", "jobs", "tail", "abort", "models", "endpoints", "link", "token"]
    commands += ["backup", "restore", "export", "replay"]
    assert [word for word in commands if f"\n    {word}" not in done.stdout] == []


@requirement("chat.usage")
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["chat", "--nonsense"],
        ["chat", "--url", "http://127.0.0.1:1", "--data", "here", "hi"],
        ["chat", ""],
        ["chat", "--url", "http://127.0.0.1:1", "hi"],
        ["chat", "--url", "ftp://here", "hi"],
        ["token", "create", "--tenant", "a b", "--user", "u", "--data", "nowhere"],
        ["token", "create", "--tenant", "t", "--user", "u", "--expires", "soon"],
        ["tail", "job_1", "--after", "-1"],
        ["jobs", "--status", "unheard-of"],
    ],
)
def test_a_wrong_command_line_exits_2_and_says_why(words: list[str]) -> None:
    done = runchat(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines()[-1].startswith("runchat")


# --- tokens ---


@requirement("tokens.create", "tokens.live", "tokens.list", "tokens.revoke", "tokens.hashed")
def test_a_token_made_beside_a_running_service_works_until_it_is_revoked(shared: Served) -> None:
    words = ("--tenant", "acme", "--user", "bob", "--name", "laptop", "--expires", "30d")
    made = runchat("token", "create", *words, "--data", shared.data)
    assert made.returncode == 0
    token = made.stdout.split()[-1]
    assert len(token) == 64
    with shared.client(token) as bob:
        assert bob.get("/api/session").json() == {"tenant": "acme", "user": "bob", "admin": False}
        listed = runchat("token", "list", "--data", shared.data)
        [line] = [line for line in listed.stdout.splitlines() if "acme" in line]
        token_id, tenant, user, created, _, expires, *rest = line.split()
        assert (tenant, user, rest) == ("acme", "bob", ["laptop"])
        assert (created[4], created[-1], expires[-1]) == ("-", "Z", "Z")
        assert runchat("token", "revoke", token_id, "--data", shared.data).returncode == 0
        assert bob.get("/api/session").status_code == 401
    listed = runchat("token", "list", "--data", shared.data)
    assert [line.split()[6] for line in listed.stdout.splitlines() if "acme" in line] == ["revoked"]
    assert token not in listed.stdout
    files = [file.read_bytes() for file in shared.data.glob("runchat.db*")]
    assert [token.encode() in content for content in files] == [False] * len(files)


@requirement("tokens.expire")
def test_a_token_past_its_expiry_is_refused(shared: Served) -> None:
    words = ("--tenant", "brief", "--user", "u", "--expires", "1s", "--data", shared.data)
    token = runchat("token", "create", *words).stdout.split()[-1]
    with shared.client(token) as brief:
        statuses = {brief.get("/api/session").status_code}
        while 401 not in statuses:
            statuses.add(brief.get("/api/session").status_code)
    assert statuses - {200} == {401}


def test_revoking_what_is_not_there_is_an_error(shared: Served) -> None:
    done = runchat("token", "revoke", "tok_none", "--data", shared.data)
    assert (done.returncode, done.stderr) == (1, "runchat: there is no token tok_none\n")


@requirement("tokens.create")
def test_a_token_made_before_the_first_start_works_beside_the_owners(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = runchat("token", "create", "--tenant", "t", "--user", "u", "--admin", "--data", data)
    with served(data) as service:
        assert service.get("/api/session")["user"] == "owner"
        with service.client(made.stdout.split()[-1]) as other:
            expected = {"tenant": "t", "user": "u", "admin": True}
            assert other.get("/api/session").json() == expected


@requirement("audit.same-transaction")
def test_making_and_revoking_a_token_is_audited(tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415  the store itself is looked into here

    data = tmp_path / "data"
    runchat("token", "create", "--tenant", "t", "--user", "u", "--data", data)
    [line] = [
        line
        for line in runchat("token", "list", "--data", data).stdout.splitlines()
        if line.split()[1] == "t"
    ]
    token_id = line.split()[0]
    runchat("token", "revoke", token_id, "--data", data)
    with closing(sqlite3.connect(data / "runchat.db")) as database:
        entries = database.execute(
            "SELECT action, tenant, object_id FROM audit WHERE object_id = ?", (token_id,)
        ).fetchall()
    assert entries == [("token.create", "t", token_id), ("token.revoke", "t", token_id)]


# --- jobs ---


@requirement("cli.jobs", "folder.found-by-service-file")
def test_jobs_lists_the_callers_jobs_newest_first(shared: Served) -> None:
    conversation = shared.conversation()
    ended = shared.ask(conversation, input="done")
    shared.whole(ended)
    running = shared.slow(conversation, count=5000)
    listed = runchat("jobs", "--data", shared.data, "--limit", 2).stdout.splitlines()
    assert [line.split()[:3] for line in listed] == [
        [running, "running", "synthetic/tokens"],
        [ended, "completed", "echo"],
    ]
    active = runchat("jobs", "--data", shared.data, "--status", "active", "--json")
    assert [json.loads(line)["id"] for line in active.stdout.splitlines()] == [running]
    aborted = runchat("abort", running, "--data", shared.data)
    assert (aborted.returncode, aborted.stdout) == (0, f"{running} aborted\n")


@requirement("cli.abort")
def test_abort_ends_a_job_and_says_where_it_cannot(shared: Served) -> None:
    job = shared.slow(shared.conversation(), count=5000)
    shared.until(job, lambda events: len(events) > 3)
    for _ in range(2):
        assert runchat("abort", job, "--data", shared.data).stdout == f"{job} aborted\n"
    ended = shared.ask(shared.conversation(), input="done")
    shared.whole(ended)
    refused = runchat("abort", ended, "--data", shared.data)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("runchat: ")
    unknown = runchat("abort", "job_none", "--data", shared.data)
    assert (unknown.returncode, unknown.stderr) == (1, "runchat: No such job.\n")


@requirement("cli.tail")
def test_tail_prints_a_running_jobs_events_to_its_end(shared: Served) -> None:
    job = shared.slow(shared.conversation(), count=50, interval_ms=10)
    done = runchat("tail", job, "--data", shared.data)
    events = shared.events(job)
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == events
    rest = runchat("tail", job, "--after", 10, "--data", shared.data)
    assert [json.loads(line) for line in rest.stdout.splitlines()] == events[10:]
    past = runchat("tail", job, "--after", len(events), "--data", shared.data)
    assert (past.returncode, past.stdout) == (0, "")
    beyond = runchat("tail", job, "--after", len(events) + 1, "--data", shared.data)
    assert (beyond.returncode, beyond.stdout) == (1, "")


@requirement("cli.models")
def test_models_and_endpoints_name_what_can_be_asked(shared: Served) -> None:
    models = runchat("models", "--data", shared.data).stdout.splitlines()
    assert {"echo", "synthetic/tokens"} <= {line.split()[0] for line in models}
    as_json = runchat("models", "--json", "--data", shared.data).stdout.splitlines()
    assert [json.loads(line)["id"] for line in as_json] == [line.split()[0] for line in models]
    endpoints = runchat("endpoints", "--data", shared.data).stdout.splitlines()
    assert {"echo", "synthetic"} <= {line.split()[0] for line in endpoints}
    assert runchat("endpoints", "list", "--data", shared.data).stdout.splitlines() == endpoints


@requirement("cli.models")
@requirement("models.own-facts")
def test_an_admin_says_what_holds_of_a_model_and_takes_it_back(shared: Served) -> None:
    at = ("--data", shared.data)
    facts = ("context=4096", "abilities=tools,vision", "rates.input=0.25", "rates.output=2")
    told = runchat("models", "set", "synthetic/tokens", *facts, *at)
    wrong = runchat("models", "set", "synthetic/tokens", "context=many", *at)
    taken = runchat("models", "unset", "synthetic/tokens", *at)

    assert (told.returncode, told.stderr) == (0, "")
    line = "synthetic/tokens  endpoint=synthetic  context=4096  output_limit=unknown"
    assert told.stdout == f"{line}  abilities=tools,vision\n"
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("runchat: /context: ")
    assert (taken.returncode, taken.stdout, taken.stderr) == (0, "", "")
    assert " context=4096 " not in runchat("models", *at).stdout


@requirement("cli.models")
def test_an_endpoint_is_tested_from_the_command_line(shared: Served) -> None:
    done = runchat("endpoints", "test", "echo", "--data", shared.data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "echo  ok  model=echo  end_state=finished  deltas=5  says_usage=False\n"
    unknown = runchat("endpoints", "test", "nowhere", "--data", shared.data)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "runchat: No such endpoint.\n"


@requirement("signin.link-command")
def test_link_prints_a_link_that_works_once(shared: Served) -> None:
    link = runchat("link", "--data", shared.data).stdout.strip()
    answers = [httpx.get(link, timeout=WAIT_S).status_code for _ in range(2)]
    assert answers == [303, 401]


def test_link_wants_a_running_service(tmp_path: Path) -> None:
    done = runchat("link", "--data", tmp_path)
    words = f"runchat: no service runs on {tmp_path}; start one with `runchat serve`\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", words)


# --- backup ---


@requirement("backup.while-running", "backup.restore", "backup.names-what-it-lacks")
def test_a_backup_of_a_running_service_is_restored_as_one_story(
    tmp_path: Path,
) -> None:
    file, new = tmp_path / "copy", tmp_path / "new"
    with served(tmp_path / "data") as service:
        conversation = service.conversation()
        ended = service.ask(conversation, input="kept for ever")
        before = service.whole(ended)
        running = service.slow(conversation, count=5000, interval_ms=2)
        seen = service.until(running, lambda events: len(events) > 50)
        made = runchat("backup", file, "--data", service.data)
        assert (made.returncode, made.stdout) == (0, "")
        assert "holds no keys" in made.stderr
        token = service.token
    assert token.encode() not in file.read_bytes()
    assert runchat("restore", file, "--data", new).returncode == 0
    with served(new) as restored:
        assert restored.get("/api/session")["user"] == "owner"
        assert restored.token != token
        assert restored.events(ended) == before
        log = restored.whole(running)
        assert log[: len(seen)] == seen
        assert (log[-1]["kind"], log[-1]["data"]["status"]) == ("job.ended", "interrupted")
        again = restored.ask(conversation, input="and on")
        assert said(restored.whole(again)) == "and on"


@requirement("backup.restore")
def test_a_restore_replaces_nothing_and_takes_only_a_backup(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no backup", encoding="utf-8")
    refused = runchat("restore", file, "--data", tmp_path / "new")
    assert (refused.returncode, refused.stderr) == (1, f"runchat: {file} is no backup.\n")
    full = runchat("restore", file, "--data", tmp_path)
    words = f"runchat: {tmp_path} is not empty; a restore replaces nothing.\n"
    assert (full.returncode, full.stderr) == (1, words)
