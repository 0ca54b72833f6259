"""A disk that is full: a small one of the service's own, filled and emptied from outside."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from specs.requirements import requirement
from specs.support.process import WAIT_S, Served, said

DISK = "mount -t tmpfs -o size=8m none"
ALONE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
MISSING = "unshare cannot give a process a disk of its own here"


class OnSmallDisk(Served):
    """A service that alone sees a disk of 8 MiB at its data folder."""

    def command(self) -> list[str]:
        return [*ALONE, f'{DISK} "$0" && exec "$@"', str(self.data), *super().command()]

    @property
    def disk(self) -> Path:
        """The folder as the service sees it."""
        return Path(f"/proc/{self.pid}/root{self.data}")

    @property
    def token(self) -> str:
        return (self.disk / "token").read_text("utf-8").strip()

    def fill(self) -> None:
        with (self.disk / "filler").open("ab", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError as error:
                assert error.errno == 28  # noqa: PT017  no space is left: as wanted


def can_be_alone(folder: Path) -> bool:
    try:
        done = subprocess.run(
            [*ALONE, f'{DISK} "$0"', str(folder)], capture_output=True, timeout=WAIT_S, check=False
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[OnSmallDisk]:
    data = tmp_path / "data"
    data.mkdir()
    if not can_be_alone(data):
        pytest.skip(MISSING)
    service = OnSmallDisk(data)
    try:
        service.start()
        yield service
    finally:
        service.kill()


@requirement("folder.disk-full")
def test_a_full_disk_refuses_clearly_loses_nothing_and_heals(service: OnSmallDisk) -> None:
    conversation = service.conversation()
    first = service.ask(conversation, input="kept")
    before = service.whole(first)
    running = service.slow(service.conversation(), count=100)
    service.until(running, lambda events: len(events) > 3)
    service.fill()

    accepted: list[str] = []
    answer = post(service, conversation, len(accepted))
    while answer.status_code == 202:  # what SQLite had room for in its files
        accepted.append(answer.json()["id"])
        answer = post(service, conversation, len(accepted))
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:runchat:problem:audit-unavailable"
    assert answer.headers["retry-after"] == "5"
    assert service.events(first) == before
    assert service.get("/api/health")["status"] == "ok"

    (service.disk / "filler").unlink()
    again = post(service, conversation, len(accepted))  # the same key: nothing had happened
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (202, None)
    accepted.append(again.json()["id"])
    logs = [service.whole(job) for job in accepted]
    assert [said(log) for log in logs] == [words(number) for number in range(len(accepted))]
    story = service.whole(running)
    assert (story[-1]["data"]["status"], len(said(story))) == ("completed", 100 * 16)
    listed = {job["id"] for job in service.get("/api/jobs?limit=100")["items"]}
    assert listed == {first, running, *accepted}
    assert service.stop() == 0


def post(service: Served, conversation: str, number: int) -> httpx.Response:
    return service.api.post(
        f"/api/conversations/{conversation}/jobs",
        json={"input": words(number), "on_active": "queue"},
        headers={"Idempotency-Key": f"number-{number}"},
    )


def words(number: int) -> str:
    return f"{number} " + "x" * 100_000
