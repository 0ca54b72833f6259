"""Counters, gauges and histograms, and the text a Prometheus server reads.

Written here because the usual client costs 55 ms of every start and we need four shapes of it.
A value may be changed from any thread. Source: Prometheus text exposition format 0.0.4.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, TypeAlias

Labels: TypeAlias = tuple[str, ...]
Sample: TypeAlias = tuple[str, Labels, Labels, float]  # name, label names, label values, value

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric:
    """A name, a sentence, and numbers by the values of its labels."""

    kind: ClassVar[str]

    def __init__(self, name: str, doc: str, *labels: str) -> None:
        self.name, self.doc, self.labels = name, doc, labels
        self._values: dict[Labels, float] = {} if labels else {(): 0}
        self._lock = threading.Lock()

    def value(self, *labels: str) -> float:
        """Return the number as it stands, 0 where there is none."""
        return self._values.get(labels, 0)

    def samples(self) -> Iterator[Sample]:
        for labels, value in sorted(self._values.items()):
            yield self.name, self.labels, labels, value

    def _add(self, labels: Labels, amount: float) -> None:
        assert len(labels) == len(self.labels), (self.name, labels)
        with self._lock:
            self._values[labels] = self._values.get(labels, 0) + amount


class Counter(Metric):
    """Only ever grows."""

    kind = "counter"

    def inc(self, *labels: str, by: float = 1) -> None:
        """Count `by` more."""
        self._add(labels, by)


class Gauge(Metric):
    """Goes up and down."""

    kind = "gauge"

    def inc(self, *labels: str, by: float = 1) -> None:
        """Move by `by`, which may be negative."""
        self._add(labels, by)

    def set(self, value: float, *labels: str) -> None:
        """Stand at `value`."""
        with self._lock:
            self._values[labels] = value


class Observed(Metric):
    """Asked for its numbers when somebody reads them; costs nothing in between."""

    def __init__(
        self,
        name: str,
        doc: str,
        *labels: str,
        kind: str,
        read: Callable[[], Iterable[tuple[Labels, float]]],
    ) -> None:
        super().__init__(name, doc, *labels)
        self.kind, self._read = kind, read  # type: ignore[misc]  # the one metric that is told

    def samples(self) -> Iterator[Sample]:
        for labels, value in self._read():
            yield self.name, self.labels, labels, value


class Histogram(Metric):
    """How often a measure fell into each bucket."""

    kind = "histogram"

    def __init__(self, name: str, doc: str, buckets: tuple[float, ...]) -> None:
        super().__init__(name, doc)
        self.buckets = buckets  # upper bounds, rising
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0

    def observe(self, measure: float, *, times: int = 1) -> None:
        """Take one measure, or the same so many times."""
        with self._lock:
            self._counts[bisect_left(self.buckets, measure)] += times
            self._sum += measure * times

    def count(self) -> int:
        """Return how many measures were taken."""
        return sum(self._counts)

    def samples(self) -> Iterator[Sample]:
        with self._lock:
            counts, total = tuple(self._counts), self._sum
        up_to = 0
        for bound, count in zip((*map(str, self.buckets), "+Inf"), counts, strict=True):
            up_to += count
            yield f"{self.name}_bucket", ("le",), (bound,), up_to
        yield f"{self.name}_sum", (), (), total
        yield f"{self.name}_count", (), (), up_to


def render(metrics: Iterable[Metric]) -> bytes:
    """Return the metrics as a Prometheus server reads them."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.doc}", f"# TYPE {metric.name} {metric.kind}"]
        for name, names, values, number in metric.samples():
            of = zip(names, map(_escaped, values), strict=True)
            pairs = ",".join(f'{key}="{value}"' for key, value in of)
            lines.append(f"{name}{{{pairs}}} {number:.15g}" if pairs else f"{name} {number:.15g}")
    return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
