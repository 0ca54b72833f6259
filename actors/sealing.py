"""What a caller carries for us without reading it: a provider's state, or a summary. Pure.

A caller that has nothing stored here (`store: false`) sends back what it was given. It is base 64,
not a secret: it is the caller's own, and a provider checks its own signatures.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import orjson

from transports.egress.providers.asked import Native

MARK: Final = "rc1."  # this form, in its first version


def seal(value: Mapping[str, Any]) -> str:
    """Return JSON as one word."""
    return MARK + base64.urlsafe_b64encode(orjson.dumps(value)).decode()


def _open(sealed: str) -> Mapping[str, Any]:
    if not sealed.startswith(MARK):
        return {}
    try:
        value = orjson.loads(base64.urlsafe_b64decode(sealed.removeprefix(MARK)))
    except (binascii.Error, orjson.JSONDecodeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def native_in(sealed: str) -> Native | None:
    """Return the provider's state in it; None where there is none of ours."""
    value = _open(sealed)
    wire, model, kept = (value.get(name) for name in ("wire", "model", "value"))
    if isinstance(wire, str) and isinstance(model, str) and isinstance(kept, dict):
        return Native(wire=wire, model=model, value=kept)
    return None


def summary_in(sealed: str) -> str | None:
    """Return the summary in it; None where there is none of ours."""
    summary = _open(sealed).get("summary")
    return summary if isinstance(summary, str) else None
