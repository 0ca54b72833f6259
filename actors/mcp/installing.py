"""A `server.json` as what is installed of it: the URL and headers, with what only a person knows.

What it wants to be told is asked by name, and all that is missing at once. A remote server is taken
and nothing else: a package would run a program of this machine, which the operator's settings alone
may name. Variables stand for what the person answers and for nothing of this service; what they
answer is put into a URL escaped. Pure.
Source: the MCP registry's `server.schema.json`, 2025-12-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from runtime import limits
from runtime.problems import Invalid

SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
NAME: Final = re.compile(r"[a-zA-Z0-9.-]{1,100}/[a-zA-Z0-9._-]{1,100}")
VARIABLE: Final = re.compile(r"\{([A-Za-z0-9_.-]{1,64})\}")
FOREIGN: Final = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a `server.json` comes to, with the answers of whoever installs it."""

    name: str
    title: str
    release: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


def read(document: Mapping[str, Any], inputs: Mapping[str, str]) -> Manifest:
    """Return what is to be installed.

    Args:
        inputs: the answers, by the name of the header or variable that wants one.

    Raises:
        Invalid: it is no such document, or an answer is missing or none of the choices.
    """
    if document.get("$schema") != SCHEMA:
        raise Invalid.at("/server_json/$schema", f"The schema that is read is {SCHEMA}.")
    name, release = _text(document, "name"), _text(document, "version")
    if not NAME.fullmatch(name):
        raise Invalid.at("/server_json/name", "It is a name such as com.example/server.")
    place, remote = _remote(document)
    asked = dict(_asked(remote))
    _check(asked, inputs)
    known = {each: str(told) for each, told in _answers(asked, inputs).items() if told is not None}
    headers = {each["name"]: _header(each, known) for each in _listed(remote, "headers")}
    return Manifest(
        name=FOREIGN.sub("-", name.partition("/")[2].lower()).strip("-_") or "server",
        title=str(document.get("title") or name)[: limits.CLI_TITLE_CHARS],
        release=release,
        url=_filled(_text(remote, "url", place), known, escape=True),
        headers={name: value for name, value in headers.items() if value},
    )


def _remote(document: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the first remote that can be used, with its place."""
    remotes = _listed(document, "remotes")
    for number, remote in enumerate(remotes):
        if remote.get("type") == "streamable-http":
            return f"/server_json/remotes/{number}", remote
    if document.get("packages"):
        detail = "A package runs a program of this machine: only the operator's settings name one."
        raise Invalid.at("/server_json/packages", detail)
    raise Invalid.at("/server_json/remotes", "None of them is reached by streamable HTTP.")


def _asked(remote: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what a person is asked: variables, and headers without a value of their own."""
    yield from _variables(remote, str(remote.get("url", "")))
    for header in _listed(remote, "headers"):
        _text(header, "name")
        if header.get("value") is None:
            yield header["name"], header
        else:
            yield from _variables(header, str(header["value"]))


def _variables(owner: Mapping[str, Any], text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    told = owner.get("variables")
    described = told if isinstance(told, dict) else {}
    for name in VARIABLE.findall(text):
        each = described.get(name)
        if isinstance(each, dict) and each.get("value") is not None:
            yield name, {"default": each["value"], "isRequired": True, "fixed": True}
        else:
            yield name, each if isinstance(each, dict) else {"isRequired": True}


def _answers(
    asked: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, str]
) -> dict[str, str | None]:
    return {
        name: told.get("default") if told.get("fixed") else inputs.get(name, told.get("default"))
        for name, told in asked.items()
    }


def _check(asked: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, str]) -> None:
    """Refuse answers that are missing, not asked for, or none of the choices; all at once."""
    errors: list[dict[str, str]] = []
    for name, told in asked.items():
        answer = _answers(asked, inputs)[name]
        choices = told.get("choices")
        if answer in (None, "") and told.get("isRequired"):
            errors.append({"pointer": f"/inputs/{_escaped(name)}", "detail": _question(told)})
        elif answer is not None and isinstance(choices, list) and choices and answer not in choices:
            errors.append(
                {"pointer": f"/inputs/{_escaped(name)}", "detail": f"One of: {_listing(choices)}."}
            )
    errors += [
        {"pointer": f"/inputs/{_escaped(name)}", "detail": "It is not asked for."}
        for name in inputs
        if name not in asked or asked[name].get("fixed")
    ]
    if errors:
        raise Invalid(
            "; ".join(f"{each['pointer']}: {each['detail']}" for each in errors),
            errors=errors,
            inputs=[_input(name, told) for name, told in asked.items() if not told.get("fixed")],
        )


def _input(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return how an input is asked for."""
    choices = told.get("choices")
    return {
        "name": name,
        "description": str(told.get("description", ""))[: limits.ERROR_CHARS],
        "required": told.get("isRequired") is True,
        "secret": told.get("isSecret") is True,
        "default": None if told.get("isSecret") else told.get("default"),
        "choices": choices if isinstance(choices, list) else [],
    }


def _question(told: Mapping[str, Any]) -> str:
    description = str(told.get("description", ""))[: limits.ERROR_CHARS]
    return f"This is needed. {description}".rstrip()


def _listing(choices: list[Any]) -> str:
    return ", ".join(map(str, choices))[: limits.ERROR_CHARS]


def _header(header: Mapping[str, Any], known: Mapping[str, str]) -> str:
    value = header.get("value")
    return known.get(header["name"], "") if value is None else _filled(str(value), known)


def _filled(template: str, known: Mapping[str, str], *, escape: bool = False) -> str:
    """Return a template with the answers in it; one that was not given is left out."""

    def answer(found: re.Match[str]) -> str:
        value = known.get(found[1], "")
        return quote(value, safe="") if escape else value

    return VARIABLE.sub(answer, template)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _text(owner: Mapping[str, Any], name: str, place: str = "/server_json") -> str:
    value = owner.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limits.EGRESS_URL_CHARS:
        raise Invalid.at(f"{place}/{name}", "This text is needed.")
    return value


def _listed(owner: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = owner.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
