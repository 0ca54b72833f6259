"""What an endpoint cannot be, though its settings have the right types: nobody could ask it. Pure.

A key goes into a header, a model's name into a path or a body, and the wire's own path after the
base URL. What cannot go there is refused where it is given, not at each job.
Source: RFC 9110 section 5.5 (field values); RFC 3986.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from runtime.sections import Endpoint

BASE: Final = re.compile(r"https?://[^/?#@]+(/[^?#]*)?")
KEY: Final = re.compile(r"[!-~]*")  # ASCII that is seen
DOTS: Final = {".", ".."}


def endpoint_faults(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Yield the place of each value that cannot be, and what it must be; values are not shown."""
    if not BASE.fullmatch(endpoint.base_url):
        yield "base_url", "must be an http or https URL, without user, query and fragment"
    if not is_key(endpoint.api_key.reveal()):
        yield "api_key", "must be of ASCII letters, digits and signs, without a space or line end"
    for place, name in enumerate(endpoint.models):
        if not is_model(name):
            yield (
                f"models/{place}",
                "must be a name in one line, with no space round it, and no way up a path",
            )


def is_key(text: str) -> bool:
    """Whether a header can carry a key."""
    return KEY.fullmatch(text) is not None


def is_model(name: str) -> bool:
    """Whether a model can be called so."""
    in_line = name.isprintable() and name == name.strip()  # some have spaces within
    return bool(name) and in_line and DOTS.isdisjoint(name.split("/"))
