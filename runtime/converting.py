"""A setting's value as its type, from TOML's types or from the text of the environment. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def converted(wanted: Any, value: object) -> Any:
    """Return `value` as the type wanted, None where it is not one."""
    if get_origin(wanted) is Literal:
        return value if value in get_args(wanted) else None
    if get_origin(wanted) is tuple:
        if isinstance(value, str):
            value = _listed(value)
        many = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        return tuple(value) if many else None  # type: ignore[arg-type]  # `many` has looked
    if get_origin(wanted) is Mapping:
        return _mapped(get_args(wanted)[1], value)
    if wanted is bool:
        return TRUTH.get(value.lower()) if isinstance(value, str) else _only(bool, value)
    if wanted in (int, float):
        return _number(wanted, value)
    return wanted(value) if isinstance(value, str) else _only(wanted, value)


def _mapped(wanted: Any, value: object) -> dict[str, Any] | None:
    """Return a table, which the environment has as JSON; None where a value is of another type."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, dict):
        return None
    read = {str(name): converted(wanted, each) for name, each in value.items()}
    return None if None in read.values() else read


def _listed(text: str) -> object:
    """Return the list that a text tells: JSON's, or words between commas (`[::1]` is a word)."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return [each.strip() for each in text.split(",") if each.strip()]


def _number(wanted: type[int | float], value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | wanted):
        return None
    try:
        return wanted(value)
    except ValueError:
        return None


def _only(wanted: type[Any], value: object) -> Any:
    return value if isinstance(value, wanted) else None


def called(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(get_args(wanted))
    if get_origin(wanted) is tuple:
        return "a list of strings"
    if get_origin(wanted) is Mapping:
        return f"a table whose values are {called(get_args(wanted)[1])}"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(wanted, "a string")
