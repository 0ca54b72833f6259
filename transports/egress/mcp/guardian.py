"""Stands between the service and a program: when the service is gone, the program's group is too.

Started as `guardian.py LIFELINE GRACE_S WORD...`, standard library only. LIFELINE is our end of a
pipe whose other end the service holds and the system closes for it, also after `kill -9`. The
program has a session of its own; what it starts and leaves in its group is killed with it.
Source: POSIX `setsid`, `killpg`; Python's `signal.set_wakeup_fd`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from types import FrameType

NOT_FOUND = 127  # as a shell says it


def main(words: list[str]) -> int:
    """Run the program until it ends or the service does; return the program's status."""
    lifeline, grace_s, command = int(words[0]), float(words[1]), words[2:]
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _nothing)
    signal.set_wakeup_fd(wake)
    try:
        program = subprocess.Popen(command, start_new_session=True)
    except OSError:
        return NOT_FOUND
    for number in (0, 1, 2):
        os.close(number)  # the pipes are the program's now, and end when it does
    while program.poll() is None:
        ready, _, _ = select.select([lifeline, woken], [], [])
        if lifeline in ready:
            _tell(program.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                program.wait(grace_s)
            break
        os.read(woken, 512)
    _tell(program.pid, signal.SIGKILL)
    return program.wait() & 0xFF


def _tell(group: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Let a child's end be heard; it wakes the loop by its pipe."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
