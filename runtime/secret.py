"""Secret: a string that does not print.

It is no `str`, so that neither a format string, a join, a log line nor a JSON encoder shows it by
accident: only `reveal` does, and who calls that can be searched for.
"""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Holds a password, a token or a key; the same to every printer."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return what is inside; call it where it leaves for the one that must know it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not copied into a pickle")
