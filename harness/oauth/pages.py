"""What a person sees on an issuer's page: its forms, what they ask, and its links.

Pure: a page comes in as text. A form is sent as a browser sends it, with the fields that are hidden
and the button that was pressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

QUIET: Final = frozenset({"submit", "button", "image", "reset", "file"})
PICKED: Final = frozenset({"checkbox", "radio"})


@dataclass(slots=True, kw_only=True)
class Form:
    """One form: where it is sent, and what it holds as it comes.

    Args:
        kinds: of its fields, by name: `text`, `password`, `hidden`, ...
        buttons: name, value and words of each that sends it.
    """

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)

    def filled(self, said: Mapping[str, str], press: str = "") -> dict[str, str]:
        """Return what is sent: text and passwords as said, by their kind; a button by its words.

        Raises:
            LookupError: there is no such button.
        """
        sent = {name: said.get(self.kinds[name], value) for name, value in self.fields.items()}
        found = [each for each in self.buttons if press.lower() in each[2].lower()]
        if press and not found:
            raise LookupError(f"no button says {press!r}")
        if found and found[0][0]:
            sent[found[0][0]] = found[0][1]
        return sent


@dataclass(slots=True, kw_only=True)
class Page:
    """The forms of a page, and its links by their words."""

    forms: list[Form] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.page = Page()
        self._url = url
        self._words: list[str] = []
        self._open: dict[str, str] | None = None
        self._form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                action = urljoin(self._url, found.get("action", ""))
                self._form = Form(action=action, method=found.get("method", "get").lower())
                self.page.forms.append(self._form)
            case "input" if self._form is not None:
                self._input(self._form, found)
            case "button" | "a":
                self._open, self._words = found, []

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        words = " ".join("".join(self._words).split())
        if tag == "a" and self._open is not None:
            self.page.links[words] = urljoin(self._url, self._open.get("href", ""))
        sends = tag == "button" and (self._open or {}).get("type", "submit") == "submit"
        if sends and self._open is not None and self._form is not None:
            button = (self._open.get("name", ""), self._open.get("value", ""), words)
            self._form.buttons.append(button)
        if tag in ("a", "button"):
            self._open = None
        if tag == "form":
            self._form = None

    def _input(self, form: Form, found: dict[str, str]) -> None:
        kind, name = found.get("type", "text").lower(), found.get("name", "")
        value = found.get("value", "")
        if kind == "submit":
            form.buttons.append((name, value, value))
        elif name and kind not in QUIET and (kind not in PICKED or "checked" in found):
            form.fields[name], form.kinds[name] = value, kind


def read(html: str, url: str) -> Page:
    """Return what a page holds.

    Args:
        url: where the page is, for what is said relative to it.
    """
    reader = _Reader(url)
    reader.feed(html)
    reader.close()
    return reader.page
