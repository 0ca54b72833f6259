"""The bench measures what it says: each measure runs, and what is wrong with a delivery is told.

No figure is looked at: at this size, and on a machine that does other things, it means nothing.
"""

import json
from pathlib import Path

import pytest

from harness import openapi_counting
from harness.bench import asking, crowd, delivering, importing, main, resuming, service
from harness.bench.figures import Figure, Line, Wrong, figures, percentile, row, table
from harness.bench.machine import fsync_ms
from harness.bench.measure import TINY, Measure
from harness.bench.plot import Curve, svg
from harness.bench.wire import Http, Unexpected, unchunked

LOG = [b'{"sequence":%d,"kind":"item.delta"}' % number for number in (1, 2, 3)]
HEAD = b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n"


def sent(*frames: bytes) -> bytes:
    """An answer in chunks, one a frame, that has ended."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in frames)
    return HEAD + chunks + b"0\r\n\r\n"


def frame(number: int, body: bytes) -> bytes:
    return b"id: %d\nevent: item.delta\ndata: %b\n\n" % (number, body)


class Heard(crowd.Reader):
    """A reader that has got these bytes."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # it needs no connection any more
        for at, piece in enumerate(pieces):
            self.take(piece, (at + 1) * 1_000_000)


@pytest.mark.parametrize("measure", main.MEASURES, ids=lambda each: each.name)
def test_a_measure_fills_each_of_its_lines(measure: Measure, tmp_path: Path) -> None:
    made = main.take(measure, TINY, 1, tmp_path)

    assert [each.line for each in made] == list(measure.lines)
    assert [len(each.runs) for each in made] == [1] * len(made)
    assert list(tmp_path.iterdir()) == []


def test_a_document_is_made_that_has_as_many_operations_as_wanted() -> None:
    made = json.loads(importing.made(20))

    assert openapi_counting.count(made) == (20, 100)
    assert len(made["components"]["schemas"]) == 6
    assert importing.document(20) == json.dumps(made).encode()


def test_a_reader_that_got_the_log_is_good() -> None:
    frames = [frame(number, body) for number, body in enumerate(LOG, 1)]
    opening = b"retry: 2000\n:  \n\nid: 0\n\n"
    whole = sent(opening, b"".join(frames[:2]), b":\n\n", frames[2])

    crowd.check([Heard(whole), Heard(whole[:100], whole[100:])], LOG)

    assert [number for number, _ in crowd.events(unchunked(whole))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((1, 2), "got 2 of 3 events"),
        ((1, 3), "got event 3 where 2 was next"),
        ((1, 2, 2, 3), "got event 2 where 3 was next"),
        ((2, 1, 3), "got event 2 where 1 was next"),
        ((1, 2, 3, 4), "got other bytes for event 4 than were kept"),
    ],
)
def test_a_reader_that_lost_doubled_or_swapped_an_event_is_told_of(
    numbers: tuple[int, ...], told: str
) -> None:
    good = Heard(sent(*(frame(number, body) for number, body in enumerate(LOG, 1))))
    bad = Heard(sent(*(frame(number, (*LOG, b"{}")[number - 1]) for number in numbers)))

    with pytest.raises(Wrong, match=f"Reader 1 {told}"):
        crowd.check([good, bad], LOG)


def test_a_reader_that_got_other_bytes_is_told_of() -> None:
    other = Heard(sent(*(frame(number, b"{}") for number in (1, 2, 3))))

    with pytest.raises(Wrong, match="Reader 0 got other bytes for event 1"):
        crowd.check([other], LOG)


def test_the_delay_of_an_event_ends_when_its_last_byte_came() -> None:
    body = b'{"text":"%d"}'
    whole = sent(frame(1, body % 500_000), frame(2, body % 1_500_000))
    half = whole.index(b"id: 2")

    heard = Heard(whole[:half], whole[half:])

    assert list(delivering.delays_ms(heard)) == [0.5, 0.5]
    assert delivering.delays([heard], 2) == [0.5]
    with pytest.raises(Wrong, match="got 2 of 3 deltas"):
        delivering.delays([heard], 3)


def test_a_mark_is_found_across_two_pieces() -> None:
    heard = Heard(b"x" * crowd.TAIL_BYTES + b"id: 1", b"7\nevent")

    assert heard.tail.endswith(b"xid: 17\nevent")
    assert len(heard.tail) == crowd.TAIL_BYTES


def test_a_resume_elsewhere_is_told_of() -> None:
    resuming.check(HEAD + b"id: 7\n\nid: 8\nevent: ", 7)

    with pytest.raises(Wrong, match="A reader at 7 was sent 9 next"):
        resuming.check(HEAD + b"id: 7\n\nid: 9\nevent: ", 7)


@pytest.mark.parametrize(
    ("texts", "told"), [(("one ", "two "), "not the question"), ((), "not the question")]
)
def test_an_echo_that_says_something_else_is_told_of(texts: tuple[str, ...], told: str) -> None:
    frames = [
        frame(number, json.dumps({"data": {"text": text}}).encode())
        for number, text in enumerate(texts, 1)
    ]

    with pytest.raises(Wrong, match=told):
        asking.check(sent(*frames))


def test_a_measure_that_found_something_wrong_fails_the_bench(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def run(*_: object) -> dict[str, float]:
        raise Wrong("Reader 3 got 1 of 2 events.")

    measure = Measure(name="planted", lines=(Line(key="x", title="x", unit="ms"),), run=run)
    file = tmp_path / "told.json"

    status = main.main(["planted", "--tiny", "--runs", "1", "--json", str(file)], [measure])

    told = "planted: Wrong: Reader 3 got 1 of 2 events."
    assert status == 1
    assert told in capsys.readouterr().out
    assert json.loads(file.read_text())["failed"] == [told]


def test_a_measure_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["nonsense"]) == 2
    assert "There is no measure nonsense; there are start, ask," in capsys.readouterr().out


def test_a_figure_is_the_median_and_knows_its_target() -> None:
    lines = (
        Line(key="a", title="less is better", unit="ms", at_most=2, durable=True),
        Line(key="b", title="more is better", unit="/s", at_least=1000),
        Line(key="c", title="a reference", unit="MiB"),
    )
    runs = [
        {"a": 1.0, "b": 10.0, "c": 5.0},
        {"a": 9.0, "b": 20.0, "c": 5.0},
        {"a": 2.0, "b": 900.0, "c": 5.0},
    ]

    made = figures(lines, runs, [(0.1, 1.0), (0.3, 3.0), (0.2, 2.0)])

    assert [each.value for each in made] == [2.0, 20.0, 5.0]
    assert [each.met for each in made] == [True, False, None]
    assert [each.fsync_ms for each in made] == [(0.2, 2.0), None, None]
    assert row(made[1]) == ("more is better", "20.0 /s", "10.0 to 900", ">= 1,000", "**no**", "")
    assert table(made).splitlines()[2] == (
        "| less is better | 2.00 ms | 1.00 to 9.00 | <= 2.00 | yes | 0.20 / 2.00 |"
    )


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(each) for each in range(100, 0, -1)]

    assert (percentile(values, 0.5), percentile(values, 0.99)) == (51.0, 100.0)
    assert percentile([7.0], 0.99) == 7.0


def test_the_disk_is_asked_and_left_as_it_was(tmp_path: Path) -> None:
    middle, tail = fsync_ms(tmp_path, syncs=3)

    assert 0 < middle <= tail
    assert list(tmp_path.iterdir()) == []


def test_the_plot_has_each_curve_and_its_numbers() -> None:
    curve = Curve(name="resume", colour="#000", points={1000: 1.0, 1_000_000: 1.5})

    drawn = svg("Cost", [curve])

    assert drawn.count("<circle") == 2
    assert drawn.count("<polyline") == 1
    assert ">1,000,000</text>" in drawn
    assert ">1.50</text>" in drawn


def test_the_plot_is_made_of_what_was_measured() -> None:
    assert main.picture({"start_s": 1.0}) is None
    drawn = main.picture({"append_1000_ms": 1.0, "append_10000_ms": 2.0, "resume_1000_p99_ms": 3.0})
    assert str(drawn).count("<polyline") == 2


def test_a_program_that_does_not_start_is_told_of() -> None:
    with pytest.raises(Unexpected, match="It ended with status 1: the reason"):
        service.Process("-c", "raise SystemExit('the reason')")


def test_a_refusal_is_no_answer(tmp_path: Path) -> None:
    with service.Service(tmp_path / "data") as running, Http(running.target) as http:
        with pytest.raises(Unexpected, match="GET /api/nothing: 404"):
            http.call("GET", "/api/nothing")
        log = service.start(http, "synthetic/tokens", count=2)
        service.await_head(http, log, 6, 30)
        with pytest.raises(Unexpected, match="has 6 of 7 events"):
            service.await_head(http, log, 7, 0)


def test_a_figure_is_told_to_machines() -> None:
    line = Line(key="a", title="less is better", unit="ms", at_most=2)

    told = Figure(line=line, runs=(1.0, 3.0, 2.0)).to_json()

    assert (told["median"], told["min"], told["max"], told["met"]) == (2.0, 1.0, 3.0, True)
    assert told["fsync_ms"] is None
