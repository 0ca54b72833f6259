"""`runchat` under watch: `python watched_runchat.py RECORD ARGUMENTS...`.

The interpreter itself reports every `socket.connect` (PEP 578), below any library; a line of RECORD
says where it went and whether the guard's dialler was on the stack. Nothing can take the hook away.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from transports.egress import guard
from transports.ingress.cli.main import main

WATCHED = ("socket.connect", "socket.sendto", "socket.sendmsg")
RECORD = Path(sys.argv[1])


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in WATCHED:
        line = json.dumps([event, list(arguments[1]), is_of_guard(sys._getframe(1))])
        with RECORD.open("a") as record:
            record.write(line + "\n")


def is_of_guard(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is guard.dial.__code__:
            return True
        frame = frame.f_back
    return False


sys.addaudithook(watch)
sys.exit(main(sys.argv[2:]))
