"""Streams over the death of their service: what was acknowledged is there, and happened once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from runtime.offsets import offset_of
from specs.requirements import requirement
from specs.support.durable import JSON, ROOT, TEXT, producer
from specs.support.process import served

LOOKS = 100  # the eraser comes within a moment; each look is a long poll that times out


def told_of(secret: bytes, data: Path) -> list[str]:
    """Return the files of the database that hold these bytes."""
    return [file.name for file in data.glob("runchat.db*") if secret in file.read_bytes()]


def left(data: Path) -> list[tuple[str, int]]:
    """Return the logs of streams that are kept, and how many records each has."""
    with sqlite3.connect(f"file:{data / 'runchat.db'}?mode=ro", uri=True) as db:
        return db.execute(
            "SELECT name, (SELECT COUNT(*) FROM event WHERE stream = stream.id) FROM stream"
            " WHERE name LIKE 'streams/%' ORDER BY id"
        ).fetchall()


@requirement("durable.producers-restart", "durable.forks", "durable.pull-wake")
def test_a_killed_service_knows_every_producer_fork_and_wake(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        client = service.api
        client.put(f"{ROOT}t", headers=TEXT)
        wanted = {"type": "pull-wake", "pattern": "t", "wake_stream": "wakes"}
        client.put(f"{ROOT}__ds/subscriptions/s", json=wanted)
        for number in range(3):
            headers = TEXT | producer(4, number)
            sent = client.post(f"{ROOT}t", headers=headers, content=str(number))
            assert sent.status_code == 200
        client.put(f"{ROOT}f", headers={"Stream-Forked-From": f"{ROOT}t"}, content="!")
        client.post(f"{ROOT}f", headers={"Stream-Closed": "true"})
        client.delete(f"{ROOT}t")
        service.kill()
        service.start()
        client = service.api
        assert client.get(f"{ROOT}f").content == b"012!"
        assert client.head(f"{ROOT}f").headers["Stream-Closed"] == "true"
        assert client.head(f"{ROOT}t").status_code == 410
        client.delete(f"{ROOT}f")
        client.put(f"{ROOT}t", headers=TEXT)
        for number in (0, 1):
            client.post(f"{ROOT}t", headers=TEXT | producer(4, number), content=str(number))
        service.kill()
        service.start()
        client = service.api
        again = client.post(f"{ROOT}t", headers=TEXT | producer(4, 1), content="never")
        after = client.post(f"{ROOT}t", headers=TEXT | producer(4, 2), content="2")
        assert (again.status_code, after.status_code) == (204, 200)
        assert after.headers["Stream-Next-Offset"] == offset_of(3)
        assert client.get(f"{ROOT}t").content == b"012"
        claim = client.post(f"{ROOT}__ds/subscriptions/s/claim", json={"worker": "one"})
        assert claim.json()["streams"][0]["tail_offset"] == offset_of(3)


@requirement("durable.erased")
def test_the_records_of_a_deleted_stream_leave_the_disk(tmp_path: Path) -> None:
    secret = b"the words of a stream that shall be gone"
    with served(tmp_path / "data", RUNCHAT_STREAMS__LONG_POLL_S="0.1") as service:
        client = service.api
        client.put(f"{ROOT}kept", headers=JSON, content=b"[1]")
        client.put(f"{ROOT}gone", headers=TEXT, content=secret)
        client.put(f"{ROOT}ends", headers=TEXT | {"Stream-TTL": "0"}, content=secret)
        client.delete(f"{ROOT}gone")
        client.head(f"{ROOT}ends")
        for _ in range(LOOKS):
            if len(left(service.data)) == 1 and not told_of(secret, service.data):
                break
            client.get(f"{ROOT}kept?offset=now&live=long-poll")
        assert [records for _, records in left(service.data)] == [1]
        audit = sqlite3.connect(f"file:{service.data / 'runchat.db'}?mode=ro", uri=True)
        told = audit.execute("SELECT action FROM audit WHERE action = 'stream.erase'").fetchall()
        audit.close()
        assert told != []
        assert told_of(secret, service.data) == []
