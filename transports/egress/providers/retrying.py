"""When an answer that failed before its first word is asked for again, and after how long. Pure.

Asked again is what may go well the next time: a rate that was passed, a provider that is overloaded
or failing, a connection that broke. Not a silence: whoever has waited for minutes is told. The
pause is the provider's own Retry-After where it says one, else anything up to a bound that doubles
with each try, so that clients that failed together do not come back together.
Source: RFC 9110 section 10.2.3; "full jitter" as the large cloud vendors describe it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

from runtime import limits
from runtime.problems import Upstream, UpstreamLost

CLASSES = frozenset({"rate_limit", "overloaded", "server"})
BROKEN = "connection-lost"  # the code of a connection that could not be made, or broke


def pause_s(problem: Upstream, tried: int, chance: Random) -> float | None:
    """Return the seconds before another try; None: it is not to be asked again.

    Args:
        tried: how many tries there have been, 1 at least.
    """
    said = problem.extensions
    lost = isinstance(problem, UpstreamLost) and said.get("code") == BROKEN
    if not lost and said.get("class") not in CLASSES:
        return None
    base_s, cap_s = limits.UPSTREAM_RETRY_S
    told_s: float | None = said.get("retry_after_s")
    if told_s is not None:
        bearable = told_s <= limits.UPSTREAM_RETRY_AFTER_S_MAX
        return told_s + chance.uniform(0, base_s) if bearable else None
    return chance.uniform(0, min(cap_s, base_s * 2 ** (tried - 1)))


def told_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response says to wait; None where it says nothing readable.

    A date counts from the response's own, so that no clock of ours has a part in it.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        words = headers.get(name, "")
        if words.isascii() and words.replace(".", "", 1).isdigit():
            return float(words) * unit_s
    try:
        told = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        at, now = (each.replace(tzinfo=each.tzinfo or UTC) for each in told)  # -0000 has none
    except (KeyError, ValueError):
        return None
    return max(0.0, (at - now).total_seconds())
