"""A disk as a power cut knows it: what was synced is kept, of the rest any sectors may be.

Theory: a file is what reached the platter and, in order, the writes since. A sync brings all of
that file's writes down. A cut keeps any of the sectors still under way, each as a whole and each on
its own, so that a later write may outlive an earlier one; a file that grew may hold zeros. A name
is down only once its folder has been synced: until then a new file may be gone, and a removed one
be back. The shared-memory file is memory.
Source: sqlite.org/atomiccommit.html sections 2 and 9.3; Pillai et al., "All File Systems Are Not
Created Equal" (OSDI 2014), for what may be lost and reordered.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

SECTOR: Final = 512  # bytes; the smallest that disks write as a whole
LUCK: Final = (0.0, 0.1, 0.5, 0.9, 1.0)  # how much of what is under way may be kept


@dataclass(frozen=True, slots=True)
class Opened:
    """The file of this name is open; it is made where there is none."""

    name: str


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes were written at an offset."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """The file has this many bytes now."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """The file's writes are down, and with `folder` all names too."""

    name: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """The name is gone; with `folder` that is down."""

    name: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody was told that everything up to this Write is kept."""

    write: int


Step: TypeAlias = Opened | Written | Truncated | Synced | Removed | Acknowledged


@dataclass(slots=True, eq=False)
class File:
    """What is down of a file, and what is under way."""

    down: bytearray = field(default_factory=bytearray)
    under_way: list[Written | Truncated] = field(default_factory=list)

    def sync(self) -> None:
        """Bring everything down."""
        for each in self.under_way:
            apply(self.down, each)
        self.under_way.clear()

    def after_cut(self, chance: random.Random) -> bytes:
        """Return what is found once the power is back."""
        found, luck = bytearray(self.down), chance.choice(LUCK)
        for each in self.under_way:
            for sector in sectors(each):
                if chance.random() < luck:
                    apply(found, sector)
        return bytes(found)


def apply(content: bytearray, step: Written | Truncated) -> None:
    """Do the step; what lies between the end and a write beyond it is zeros."""
    size = step.size if isinstance(step, Truncated) else step.offset
    content.extend(bytes(max(0, size - len(content))))
    if isinstance(step, Truncated):
        del content[step.size :]
    else:
        content[step.offset : step.offset + len(step.data)] = step.data


def sectors(step: Written | Truncated) -> list[Written | Truncated]:
    """Return the step in pieces of which each happens as a whole."""
    if isinstance(step, Truncated):
        return [step]
    first = step.offset - step.offset % SECTOR
    pieces: list[Written | Truncated] = []
    for start in range(first, step.offset + len(step.data), SECTOR):
        a, b = max(start, step.offset), min(start + SECTOR, step.offset + len(step.data))
        pieces.append(Written(step.name, a, step.data[a - step.offset : b - step.offset]))
    return pieces


class Disk:
    """The disk behind one folder; takes the steps of a trace, and can be cut at any of them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.names = {name: File(bytearray(content)) for name, content in files.items()}
        self._names_down = dict(self.names)
        self._changed: list[tuple[str, File | None]] = []  # names not down yet; None: removed

    def take(self, step: Step) -> None:
        """Let one step happen."""
        match step:
            case Opened():
                if step.name not in self.names:
                    self._name(step.name, File())
            case Written() | Truncated():
                self.names[step.name].under_way.append(step)
            case Synced():
                self.names[step.name].sync()
                if step.folder:
                    self._sync_names()
            case Removed():
                self._name(step.name, None)
                if step.folder:
                    self._sync_names()
            case Acknowledged():
                pass

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """Return what is found once the power is back: contents by name. Nothing changes here."""
        names, luck = dict(self._names_down), chance.choice(LUCK)
        for name, file in self._changed:
            if chance.random() < luck:
                _set(names, name, file)
        return {name: file.after_cut(chance) for name, file in names.items()}

    def _name(self, name: str, file: File | None) -> None:
        self._changed.append((name, file))
        _set(self.names, name, file)

    def _sync_names(self) -> None:
        self._names_down = dict(self.names)
        self._changed.clear()


def _set(names: dict[str, File], name: str, file: File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def write_out(files: dict[str, bytes], folder: Path) -> None:
    """Put the contents into a folder."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
