"""Whether a text fits a stranger's expression, in time that is known beforehand.

Python's `re` can be made to look for longer than the world lasts. RE2 looks once at each character
for each place of its program, at worst, so that what it will take is the product of both. It knows
no look-around and no way back to what was found; what it does not know, or what would be too large,
nobody says anything of. JSON Schema's expressions are ECMA-262's, of which it reads what is common.
Source: google-re2; JSON Schema 2020-12, core section 6.4.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from runtime import limits


def _options() -> Any:
    options = re2.Options()
    options.max_mem, options.log_errors = limits.PATTERN_BYTES, False
    return options


OPTIONS: Final = _options()
KNOWN: Final[OrderedDict[str, Any]] = OrderedDict()  # expression -> its program, None for none


def fits(pattern: str, text: str, spend: Callable[[int], None]) -> bool | None:
    """Return whether the expression is found in the text; None where that cannot be said.

    Args:
        spend: takes so many steps, or raises where there are not as many.
    """
    program = _program(pattern, spend)
    if program is None:
        return None
    places = program.programsize * len(text)
    if places > limits.PATTERN_PLACES_MAX:
        return None
    spend(places // limits.PATTERN_PLACES_A_STEP)
    return program.search(text) is not None


def _program(pattern: str, spend: Callable[[int], None]) -> Any:
    if pattern in KNOWN:
        KNOWN.move_to_end(pattern)
        return KNOWN[pattern]
    spend(limits.PATTERN_STEPS_NEW)
    try:
        program = re2.compile(pattern, OPTIONS)
    except (re2.error, UnicodeEncodeError):
        program = None
    KNOWN[pattern] = program
    if len(KNOWN) > limits.PATTERNS_KEPT_MAX:
        KNOWN.popitem(last=False)
    return program
