"""The machine under a figure: what it is, how busy, how quick its disk, how much memory is in use.

The disk is asked the way the store asks it: append a page, `fdatasync`, again. Resident memory is
read from `/proc` (Linux); what has been freed inside the process may still be counted.
"""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import time
from pathlib import Path
from typing import Any

from harness.bench.figures import percentile

SYNCS = 200
PAGE_BYTES = 4096
FILES_SPARE = 512  # descriptors beside those of the readers


def fsync_ms(folder: Path, syncs: int = SYNCS) -> tuple[float, float]:
    """Return p50 and p99 of an append of a page and its `fdatasync` in `folder`."""
    path = folder / "fsync.probe"
    page = os.urandom(PAGE_BYTES)
    sync = getattr(os, "fdatasync", os.fsync)
    taken: list[float] = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        for _ in range(syncs):
            os.write(file, page)
            began = time.perf_counter()
            sync(file)
            taken.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return percentile(taken, 0.5), percentile(taken, 0.99)


def described() -> dict[str, Any]:
    """Return what a reader of the figures has to know of the machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}",
    }


def _cpu() -> str:
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        for line in cpus.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process, of this one where none is named."""
    pages = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int) -> int:
    """Return the most resident memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def cpu_s(pid: int) -> tuple[float, float]:
    """Return the processor time used by the main thread of a process, and by all of it."""
    return _ticks(Path(f"/proc/{pid}/task/{pid}/stat")), _ticks(Path(f"/proc/{pid}/stat"))


def _ticks(stat: Path) -> float:
    fields = stat.read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def allow_files(count: int) -> None:
    """Let this process, and those it starts, have so many connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + FILES_SPARE
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
