"""The servers that are measured beside each other, started together for one run.

`ours` is the product on a real file; `memory` and `file` are the npm reference server of the
protocol without and with a folder; `plain` is a Node `http` server that fans out and does nothing
else. Which goes first changes from run to run, so that a machine that warms up or tires favours
none. Idle servers cost the one under measure nothing but memory, which is looked at by process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import conformance
from harness.bench.figures import Line
from harness.bench.measure import Measure, Size
from harness.bench.service import Process, Service
from harness.bench.wire import Target, Unexpected

PLAIN = Path(__file__).with_name("plain.mjs")
OURS, MEMORY, FILE = "ours", "memory", "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One server."""

    name: str
    target: Target
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """All servers of a run; by name."""

    ours: Side
    memory: Side
    file: Side
    plain: Side

    def in_turn(self, turn: int) -> list[Side]:
        """Return those that speak the protocol, in the order of this run."""
        sides = [self.ours, self.memory, self.file]
        return sides if turn % 2 == 0 else sides[::-1]


@contextmanager
def serving(folder: Path) -> Iterator[Sides]:
    """Start all servers; they end with the block.

    Raises:
        Unexpected: the reference cannot be had here.
    """
    packages = conformance.find_or_install()
    if packages is None:
        raise Unexpected(f"{conformance.MISSING} are missing")
    reference = str(Path(packages) / "reference.mjs")
    (folder / "reference").mkdir()
    with ExitStack() as stack:
        ours = stack.enter_context(Service(folder / "data", model=True))
        memory, file, plain = (
            stack.enter_context(Process(*arguments, program="node"))
            for arguments in ((reference,), (reference, str(folder / "reference")), (str(PLAIN),))
        )
        yield Sides(
            ours=Side(name=OURS, target=ours.target, pid=ours.pid),
            memory=Side(name=MEMORY, target=Target(memory.port), pid=memory.pid),
            file=Side(name=FILE, target=Target(file.port), pid=file.pid),
            plain=Side(name="plain", target=Target(plain.port), pid=plain.pid),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: it returns a value for each line, or raises figures.Wrong."""

    name: str
    lines: tuple[Line, ...]
    compare: Callable[[Sides, Size], Mapping[str, float]]

    def measure(self) -> Measure:
        """Return the row as the bench takes it: servers of its own for each run."""

        def run(folder: Path, size: Size) -> Mapping[str, float]:
            with serving(folder) as sides:
                return self.compare(sides, size)

        return Measure(name=self.name, lines=self.lines, run=run)


def beside(line: Line) -> tuple[Line, ...]:
    """Return the line of ours, and those of the reference for the same value."""
    return (
        Line(
            key=f"{OURS}_{line.key}",
            title=line.title,
            unit=line.unit,
            at_most=line.at_most,
            at_least=line.at_least,
            durable=line.durable,
        ),
        Line(key=f"{MEMORY}_{line.key}", title="(reference, in memory)", unit=line.unit),
        Line(
            key=f"{FILE}_{line.key}",
            title="(reference, in files)",
            unit=line.unit,
            durable=line.durable,
        ),
    )
