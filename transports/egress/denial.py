"""A connection or a URL that the guard refuses, and the decision it leaves behind.

Whoever asked learns that the place is not allowed and no more, for the reason may tell of networks
that are none of their business; the reason is for the log and for `runchat egress check`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from runtime.problems import UpstreamSaid


class Denied(UpstreamSaid):
    """The guard refuses; `rule` is one word, `reason` a sentence for an operator."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(
            "The address of the endpoint is not allowed.",
            code="address_not_allowed",
            **{"class": "egress"},
        )
        self.rule, self.reason = rule, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the guard decided about one connection or URL.

    Args:
        rule: what decided: `public`, `exempt`, or the rule of a denial.
        dialled: the address that a connection was opened to.
    """

    allowed: bool
    rule: str
    reason: str
    purpose: str
    host: str = ""
    port: int = 0
    dialled: str | None = None


Told: TypeAlias = Callable[[Decision], None]
