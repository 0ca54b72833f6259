"""Metrics, to the letter of what a Prometheus server reads."""

from __future__ import annotations

import trio

from runtime.metrics import Counter, Gauge, Histogram, Observed, render


def test_a_counter_counts_by_its_labels() -> None:
    jobs = Counter("jobs_total", "Jobs.", "status")
    jobs.inc("failed")
    jobs.inc("completed", by=2)
    jobs.inc("failed")

    assert render([jobs]).decode() == (
        "# HELP jobs_total Jobs.\n"
        "# TYPE jobs_total counter\n"
        'jobs_total{status="completed"} 2\n'
        'jobs_total{status="failed"} 2\n'
    )


def test_a_gauge_goes_up_and_down() -> None:
    readers = Gauge("readers", "Readers.")
    readers.inc()
    readers.inc(by=4)
    readers.inc(by=-2)
    assert readers.value() == 3
    readers.set(1.5)

    assert render([readers]).endswith(b"# TYPE readers gauge\nreaders 1.5\n")


def test_a_histogram_counts_up_to_each_bound_and_beyond() -> None:
    seconds = Histogram("seconds", "Seconds.", (0.1, 1))
    for measure in (0.05, 0.1, 0.5, 30):
        seconds.observe(measure)

    assert seconds.count() == 4
    assert render([seconds]).decode() == (
        "# HELP seconds Seconds.\n"
        "# TYPE seconds histogram\n"
        'seconds_bucket{le="0.1"} 2\n'
        'seconds_bucket{le="1"} 3\n'
        'seconds_bucket{le="+Inf"} 4\n'
        "seconds_sum 30.65\n"
        "seconds_count 4\n"
    )


def test_what_is_observed_is_asked_when_it_is_read() -> None:
    depth = {"jobs": 3.0}
    observed = Observed(
        "depth",
        "Depth.",
        "of",
        kind="gauge",
        read=lambda: (((name,), value) for name, value in depth.items()),
    )
    depth["jobs"] = 5

    assert render([observed]).endswith(b'# TYPE depth gauge\ndepth{of="jobs"} 5\n')


def test_large_numbers_keep_their_digits_and_labels_are_escaped() -> None:
    events = Counter("events_total", "Events.", "kind")
    events.inc('a"b\\c\nd', by=123_456_789)

    assert render([events]).endswith(b'events_total{kind="a\\"b\\\\c\\nd"} 123456789\n')


async def test_counts_from_many_threads_all_count() -> None:
    total, seconds = Counter("total", "All."), Histogram("seconds", "Seconds.", (1,))

    def count() -> None:
        for _ in range(2000):
            total.inc()
            seconds.observe(0.5)

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(trio.to_thread.run_sync, count)

    assert total.value() == 8000
    assert seconds.count() == 8000
