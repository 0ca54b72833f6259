"""Offsets: how the Durable Streams protocol names a place in a log.

An offset is opaque to clients, of fixed width, and sorts as text the way its sequence does as a
number. The half before the underscore is kept for a later rendering and is always zero.
Source: Durable Streams protocol 1.0, section 8.
"""

from __future__ import annotations

import re
from typing import Final

START: Final = "-1"
NOW: Final = "now"
WIDTH: Final = 16
PREFIX: Final = "0" * WIDTH + "_"
OFFSET: Final = re.compile(r"0{16}_([0-9]{16})")


def offset_of(sequence: int) -> str:
    """Return the offset right after the record of this sequence; 0 is before the first."""
    return f"{PREFIX}{sequence:0{WIDTH}d}"


def sequence_of(offset: str) -> int | None:
    """Return the sequence of an offset, or None where it is none of ours."""
    found = OFFSET.fullmatch(offset)
    return int(found[1]) if found else None
