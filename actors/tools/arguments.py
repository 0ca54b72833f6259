"""Whether the arguments of a call are what the tool's schema wants. Pure, and never without end.

Schema and arguments both come from strangers. So nothing is fetched: a reference to anywhere else
fails. Every step of a check is counted, and past the bound the arguments count as not checked: a
schema can be written whose check takes for ever. Left to the tool is what cannot be bounded so:
`unevaluated*`, for long lists `uniqueItems`, and expressions that `actors.tools.patterns` does not
read. `format` asserts nothing in 2020-12.

Imported on a thread, when a tool is first called: `jsonschema` takes a tenth of a second.
Source: JSON Schema 2020-12, core section 8 and validation; `jsonschema._keywords`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import orjson
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from actors.tools import patterns
from runtime import limits

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]
STANDARD: Final = Draft202012Validator.VALIDATORS
LEFT_OUT: Final = ("unevaluatedItems", "unevaluatedProperties")
SAID_CHARS: Final = 300  # of what is wrong with an argument: a validator quotes the whole value


class BadArguments(Exception):
    """The arguments are not what the tool takes; says why, for the model to mend."""


class TooMuch(Exception):
    """The check takes more steps than it may."""


class TooDeep(Exception):
    """The check goes deeper than it may."""


class Steps(FormatChecker):
    """Counts the steps of one check; a validator hands it down where it hands down `format`."""

    left: int
    depth: int

    def spend(self, steps: int) -> None:
        """Count so many; raises TooMuch where there were enough."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch

    def enter(self) -> None:
        """Count one more, within those that have begun and not ended.

        Raises:
            TooMuch: there were enough.
            TooDeep: it is within too many. Python's own bound would be too late: what jsonschema
                keeps its schemas in ends the process there.
        """
        self.spend(1)
        self.depth += 1
        if self.depth > limits.SCHEMA_DEPTH_MAX:
            raise TooDeep

    def check(self, instance: object, format: str) -> None:
        """Assert nothing."""


def counted(keyword: Keyword) -> Keyword:
    """Return the keyword's check, which counts its steps."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        steps: Steps = validator.format_checker
        steps.enter()
        try:
            yield from keyword(validator, value, instance, schema) or ()
        finally:  # also where the first error was enough
            steps.depth -= 1

    return check


def _nothing(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    """Leave it to the tool."""


def _pattern(validator: Any, pattern: Any, instance: Any, _: Any) -> Any:
    """Check `pattern` where it can be read."""
    if isinstance(instance, str) and _fits(validator, pattern, instance) is False:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, those: Any, instance: Any, _: Any) -> Any:
    """Check `patternProperties` where they can be read."""
    for pattern, schema_of_it in those.items() if isinstance(instance, dict) else ():
        for name, value in instance.items():
            if _fits(validator, pattern, name):
                yield from validator.descend(value, schema_of_it, path=name, schema_path=pattern)


def _additional(validator: Any, wanted: Any, instance: Any, schema: Any) -> Any:
    """Check `additionalProperties`; what a pattern may mean that cannot be read is none."""
    those = schema.get("patternProperties", {})
    if not those or not isinstance(instance, dict):
        yield from STANDARD["additionalProperties"](validator, wanted, instance, schema) or ()
        return
    for name in instance.keys() - schema.get("properties", {}).keys():
        if all(_fits(validator, pattern, name) is False for pattern in those):
            yield from validator.descend(instance[name], wanted, path=name)


def _fits(validator: Any, pattern: str, text: str) -> bool | None:
    return patterns.fits(pattern, text, validator.format_checker.spend)


def _unique(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
    """Check `uniqueItems` of short lists: each is compared with each."""
    if isinstance(instance, list) and len(instance) > limits.UNIQUE_ITEMS_MAX:
        return ()
    return STANDARD["uniqueItems"](validator, value, instance, schema)


KEYWORDS: Final[Mapping[str, Keyword]] = {
    **STANDARD,
    **dict.fromkeys(LEFT_OUT, _nothing),
    "additionalProperties": _additional,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "uniqueItems": _unique,
}
Validator: Final = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {name: counted(check) for name, check in KEYWORDS.items()}
)
NOWHERE: Final[Registry[Any]] = Registry()  # knows no schema but the one that is checked


def read(
    schema: Mapping[str, Any], text: str, steps_max: int = limits.SCHEMA_STEPS_MAX
) -> dict[str, Any]:
    """Return the arguments that a model wrote; nothing written is no arguments.

    Raises:
        BadArguments: they are no JSON object, or not what the schema wants.
        TooMuch: that takes more steps to say.
    """
    if len(text) > limits.TOOL_ARGUMENTS_BYTES:
        raise BadArguments(f"The arguments are longer than {limits.TOOL_ARGUMENTS_BYTES} bytes.")
    try:
        arguments = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise BadArguments(f"The arguments are not JSON: {error}.") from error
    if not isinstance(arguments, dict):
        raise BadArguments("The arguments are no JSON object.")
    check(schema, arguments, steps_max)
    return arguments


def check(schema: Mapping[str, Any], value: Any, steps_max: int = limits.SCHEMA_STEPS_MAX) -> None:
    """Check a value against a schema.

    Raises:
        BadArguments: it is not what the schema wants, or the schema wants nothing that can be.
        TooMuch: that takes more steps to say.
    """
    steps = Steps(formats=())
    steps.left, steps.depth = steps_max, 0
    try:
        validator = Validator(schema, registry=NOWHERE, format_checker=steps)
        error = next(iter(validator.iter_errors(value)), None)
    except TooMuch:
        raise
    except TooDeep:
        raise BadArguments("The tool's schema goes too deep to check.") from None
    except Unresolvable as problem:
        detail = f"The tool's schema points to what it does not hold: {problem.ref}"
        raise BadArguments(detail[:SAID_CHARS]) from None
    except Exception as problem:  # noqa: BLE001  a stranger's schema raises what it likes
        raise BadArguments(f"The tool's schema is none: {problem!r}"[:SAID_CHARS]) from None
    if error is not None:
        where = "".join(f"/{each}" for each in error.absolute_path) or "the arguments"
        raise BadArguments(f"{where}: {error.message}"[:SAID_CHARS])
