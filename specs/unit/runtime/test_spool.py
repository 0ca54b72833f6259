"""A log line never waits for whoever reads the log."""

from __future__ import annotations

import os
import select
import threading

import pytest

from runtime import limits
from runtime.spool import Spool

LINE = "x" * 99 + "\n"


def test_a_reader_that_stands_still_holds_up_nobody_and_is_told_what_it_missed() -> None:
    reading, writing = os.pipe()
    read: list[str] = []
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        spool = Spool(stream, most=100)
        for _ in range(10_000):  # ten times what the pipe holds: a write that waits ends here
            spool.write(LINE)
        with os.fdopen(reading, encoding="ascii") as pipe:
            reader = threading.Thread(target=lambda: read.extend(pipe))
            reader.start()
            spool.close()
            stream.close()
            reader.join(timeout=10)

    dropped = [int(line.split()[0]) for line in read if line.endswith("nobody read them\n")]
    assert sum(dropped) + read.count(LINE) == 10_000
    assert 100 <= read.count(LINE) < 2_000


def test_lines_come_in_order_and_the_last_is_written_at_the_end() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        spool = Spool(stream)
        for number in range(500):
            spool.write(f"{number}\n")
        spool.close()
    with os.fdopen(reading, encoding="ascii") as pipe:
        assert pipe.read().split() == [str(number) for number in range(500)]


def test_each_line_comes_whether_its_writer_finds_the_thread_awake_or_at_rest() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="ascii") as stream:
        spool = Spool(stream)
        came: list[bytes] = []
        for number in range(12):
            spool.write(f"{number}\n")
            assert select.select([reading], [], [], 10)[0] == [reading]
            came.append(os.read(reading, 100))
            if number % 4 == 3:  # meanwhile it has gone to rest
                assert select.select([reading], [], [], 3 * limits.LOG_GATHER_S)[0] == []
        spool.close()
    os.close(reading)
    assert b"".join(came).split() == [str(number).encode() for number in range(12)]


def test_a_reader_that_has_left_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="ascii")
    spool = Spool(stream)
    spool.write("to nobody\n")
    spool.write("and again\n")
    spool.close()

    with pytest.raises(BrokenPipeError):
        stream.close()
