"""Logs tell of what happened and never what was said; the metrics show the actors."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from runtime import limits
from runtime.problems import NotFound
from runtime.telemetry import Metrics, as_line, configure, sample_loop_lag, told
from specs.unit.runtime.stage import Diary, supervised

SAID = "what a user said"


@dataclass
class Message:
    text: str


class Stopped:
    def now_ms(self) -> int:
        return 1_767_225_600_000


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def raised(error: Exception, because: Exception | None = None) -> Exception:
    try:
        raise error from because
    except type(error) as caught:
        return caught


def test_a_line_is_one_json_object_with_time_level_and_fields() -> None:
    stream = io.StringIO()
    configure(format="json", stream=stream, clock=Stopped())
    structlog.get_logger().info("job_ended", job_id="job_1", events=3)

    assert logged(stream) == [
        {
            "at": "2026-01-01T00:00:00.000Z",
            "level": "info",
            "event": "job_ended",
            "job_id": "job_1",
            "events": 3,
        }
    ]


def test_a_logger_that_has_spoken_keeps_its_ways_where_they_are_said_for_good() -> None:
    log, first, second = structlog.get_logger(), io.StringIO(), io.StringIO()
    configure(format="json", stream=first, for_good=True)
    log.info("one")
    configure(format="json", stream=second, for_good=True)
    log.info("two")
    structlog.get_logger().info("three")

    assert [line["event"] for line in logged(first)] == ["one", "two"]
    assert [line["event"] for line in logged(second)] == ["three"]


def test_a_line_for_a_person_stays_on_one_line_but_for_lists() -> None:
    stream = io.StringIO()
    configure(format="console", stream=stream, clock=Stopped())
    structlog.get_logger().warning("odd", words="a\nb\x1b[31m", raised_at=["x:1 f", "y:2 g"])

    assert stream.getvalue() == (
        "2026-01-01T00:00:00.000Z warning odd  words=a\\nb\\u001b[31m\n"
        "    raised_at: x:1 f\n"
        "    raised_at: y:2 g\n"
    )


def test_ids_come_by_context(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="req_1", job_id="job_1"):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")

    inside, outside = logged(lines)
    assert (inside["request_id"], inside["job_id"]) == ("req_1", "job_1")
    assert outside.keys() == {"at", "level", "event"}


def test_what_lies_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    configure(format="json", level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")

    assert [line["event"] for line in logged(stream)] == ["loud"]


def test_an_exception_is_told_by_type_and_place_and_not_by_its_words(lines: io.StringIO) -> None:
    error = raised(ValueError(SAID), because=KeyError(SAID))
    structlog.get_logger().error("crashed", exc_info=error)

    [line] = logged(lines)
    assert line["error"] == "ValueError"
    assert line["because"] == ["KeyError"]
    assert [place.split(" ")[1] for place in line["raised_at"]] == ["raised"]
    assert SAID not in lines.getvalue()


def test_the_words_of_a_problem_and_of_the_system_are_told() -> None:
    assert told(NotFound("There is no such job")) == "NotFound: There is no such job"
    assert told(OSError(28, "No space left on device", SAID)) == "OSError: No space left on device"
    assert told(ValueError(SAID)) == "ValueError"


def test_a_group_is_told_by_what_is_in_it_up_to_a_bound(lines: io.StringIO) -> None:
    many = ExceptionGroup("many", [KeyError(number) for number in range(1000)])
    structlog.get_logger().error("crashed", exc_info=many)

    [line] = logged(lines)
    assert line["error"] == "ExceptionGroup"
    assert line["because"] == ["KeyError"] * (limits.LOG_CHAIN_MAX - 1)


def test_a_traceback_is_told_up_to_a_bound(lines: io.StringIO) -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError(SAID)
        dig(depth - 1)

    with pytest.raises(ValueError, match=SAID) as caught:
        dig(100)
    structlog.get_logger().error("crashed", exc_info=caught.value)

    assert len(logged(lines)[0]["raised_at"]) == limits.LOG_FRAMES_MAX


def test_an_object_is_told_by_its_type(lines: io.StringIO) -> None:
    structlog.get_logger().info("got", message=Message(SAID), error=ValueError(SAID), raw=b"raw")

    [line] = logged(lines)
    assert (line["message"], line["error"], line["raw"]) == ("<Message>", "<ValueError>", "<bytes>")
    assert SAID not in lines.getvalue()


def test_no_value_breaks_the_logger(lines: io.StringIO) -> None:
    structlog.get_logger().info("odd", surrogate="\ud800", huge=10**30, nothing=None)

    [line] = logged(lines)
    assert (line["surrogate"], line["huge"], line["nothing"]) == ("\ud800", 10**30, None)


def test_a_library_s_warning_is_passed_on_without_its_arguments(lines: io.StringIO) -> None:
    logging.getLogger("some.library").warning("cannot read %s", SAID)
    logging.getLogger("some.library").info("not worth it")

    [line] = logged(lines)
    assert (line["library"], line["said"]) == ("some.library", "cannot read %s")


async def test_a_crash_of_an_actor_is_logged_without_its_message(lines: io.StringIO) -> None:
    async with supervised(lambda _: Diary()) as supervisor:
        await supervisor.tell("one", ValueError(SAID))
        await supervisor.ask("one", "next")

    [line] = logged(lines)
    assert (line["event"], line["key"], line["life"]) == ("actor_crashed", "one", 1)
    assert SAID not in lines.getvalue()


async def test_the_metrics_show_actors_depths_and_restarts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    metrics = Metrics()
    async with supervised(lambda _: Diary()) as supervisor:
        metrics.watch(supervisor)
        await supervisor.tell("one", ValueError("boom"))
        await supervisor.find("two")
        await trio.testing.wait_all_tasks_blocked()
        await supervisor.tell("one", "waits")
        shown = metrics.render().decode().splitlines()

    assert 'runchat_actors{supervisor="stage"} 2' in shown
    assert 'runchat_mailbox_depth{supervisor="stage"} 1' in shown
    assert 'runchat_actor_restarts_total{supervisor="stage"} 1' in shown


def test_every_metric_is_shown_with_help_and_type() -> None:
    metrics = Metrics()
    metrics.job_started()
    metrics.job_ended("failed")
    metrics.first_part(0.2)
    metrics.committed(0.003, writes=7)
    shown = metrics.render().decode().splitlines()

    assert 'runchat_jobs_total{status="failed"} 1' in shown
    assert "runchat_commit_batch_sum 7" in shown
    assert "runchat_provider_first_part_seconds_count 1" in shown
    names = {line.split(" ")[2] for line in shown if line.startswith("# TYPE")}
    assert names == {line.split(" ")[2] for line in shown if line.startswith("# HELP")}
    assert len(names) == len([each for each in vars(metrics) if not each.startswith("_")])


async def test_the_lag_of_the_loop_is_sampled(autojump_clock: trio.testing.MockClock) -> None:
    metrics = Metrics()
    with trio.move_on_after(limits.LOOP_LAG_SAMPLE_S * 10.5):
        await sample_loop_lag(metrics)

    assert metrics.loop_lag_seconds.count() == 10


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.none()))
def test_a_line_shows_a_value_as_json_does_without_its_quotes(value: object) -> None:
    event = {"at": "now", "level": "info", "event": "said", "value": value}
    shown = json.dumps(value).strip('"')
    assert as_line(None, "", event) == f"now info    said  value={shown}"
