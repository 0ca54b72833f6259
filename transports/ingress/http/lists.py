"""What every list takes. The cursor is opaque to callers: it is what the page before gave."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from runtime import limits
from runtime.problems import Invalid

ID: Final = re.compile(r"[a-z]+_[0-9a-z]{26}")
POSITION: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=limits.LIST_LIMIT_MAX)] = limits.LIST_LIMIT
    cursor: str | None = None


def id_cursor(cursor: str | None) -> str | None:
    """Return the cursor of a list of things.

    Raises:
        Invalid: no page gave this.
    """
    if cursor is not None and not ID.fullmatch(cursor):
        raise Invalid.at("/cursor", "This is no cursor of this list.")
    return cursor


def position_cursor(cursor: str | None) -> int:
    """Return the cursor of a list in order, 0 for its start.

    Raises:
        Invalid: no page gave this.
    """
    if cursor is None:
        return 0
    if not POSITION.fullmatch(cursor):
        raise Invalid.at("/cursor", "This is no cursor of this list.")
    return int(cursor)
