"""What a start does without: modules that libraries import for others, and that nothing here uses.

structlog imports rich, which draws tracebacks in colour, and greenlet wherever they are installed;
Quart imports Hypercorn's server for asyncio, beside the one for trio; sqlite-utils a parser of
dates for its own command line. Together they are a seventh of a start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

ABSENT: Final = ("greenlet", "rich")  # whoever asks does without it
# whoever asks gets None under this name
EMPTY: Final = {"dateutil": "parser", "hypercorn.asyncio": "serve"}


@contextmanager
def unused() -> Iterator[None]:
    """Keep them out of what the block imports; after it they can be imported as ever."""
    stand_ins: dict[str, Any] = dict.fromkeys(ABSENT)
    for name, attribute in EMPTY.items():
        stand_ins[name] = ModuleType(name)
        setattr(stand_ins[name], attribute, None)
    put = {name: each for name, each in stand_ins.items() if name not in sys.modules}
    sys.modules.update(put)
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]
