"""The comparison with others' servers: each row runs against all of them and says what is true.

No figure is looked at: at this size, and on a machine that does other things, it means nothing.
"""

from pathlib import Path

import pytest

from harness import conformance
from harness.bench import main
from harness.bench.figures import Line, Wrong
from harness.bench.measure import TINY
from harness.bench.streams import in_process
from harness.bench.streams.protocol import EVENT_BYTES, array, check, event
from harness.bench.streams.sides import Side, Sides, beside, serving
from harness.bench.wire import Answer, Target


def test_each_row_fills_each_of_its_lines_from_every_server(tmp_path: Path) -> None:
    if conformance.find_or_install() is None:
        pytest.skip("node is not installed")
    with serving(tmp_path) as sides:
        found = {row.name: row.compare(sides, TINY) for row in main.ROWS}

    lines = {row.name: {line.key for line in row.lines} for row in main.ROWS}
    assert {name: set(values) for name, values in found.items()} == lines
    assert min(value for values in found.values() for value in values.values()) >= 0


def test_the_appends_of_a_process_are_counted_on_every_disk(tmp_path: Path) -> None:
    made = main.take(in_process.IN_PROCESS, TINY, 1, tmp_path)

    rates = {each.line.key: each.value for each in made}
    assert len(rates) == 6
    slowest = TINY.writers / in_process.SLOW_S  # all that wait go into one commit
    assert 0 < rates["slow_1_per_s"] < slowest
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("numbers", [[0, 1], [0, 2, 1], [0, 1, 1, 2], [0, 1, 2, 3], []])
def test_a_server_that_lost_doubled_or_swapped_an_event_has_no_figure(numbers: list[int]) -> None:
    check(array(range(3)), range(3), "ours")

    with pytest.raises(Wrong, match=f"file: {len(numbers)} of 3 events, wrong from place"):
        check(array(numbers), range(3), "file")


def test_every_event_has_the_size_of_a_models_delta() -> None:
    sizes = {len(event(number, text)) for number in (0, 49_999) for text in ("", "1234567890123")}
    assert sizes == {EVENT_BYTES}


def test_who_goes_first_changes_from_run_to_run() -> None:
    ours, memory, file, plain = (
        Side(name=name, target=Target(1), pid=1) for name in ("ours", "memory", "file", "plain")
    )
    sides = Sides(ours=ours, memory=memory, file=file, plain=plain)

    assert sides.in_turn(0) == [ours, memory, file] == sides.in_turn(2)
    assert sides.in_turn(1) == [file, memory, ours]


def test_only_ours_has_a_target_and_what_is_kept_shows_the_disk() -> None:
    lines = beside(Line(key="x", title="an append", unit="ms", at_most=5, durable=True))

    assert [line.key for line in lines] == ["ours_x", "memory_x", "file_x"]
    assert [line.at_most for line in lines] == [5, None, None]
    assert [line.durable for line in lines] == [True, False, True]


def test_a_header_of_an_answer_is_found_however_it_is_written() -> None:
    answer = Answer(head="HTTP/1.1 200 OK\r\nStream-Next-Offset: 7_1\r\n", body=b"", began=0)

    assert answer.header("stream-next-offset") == "7_1"
    assert answer.header("stream-up-to-date") == ""
