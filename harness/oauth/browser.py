"""A person with a browser: keeps cookies, follows redirects, fills in forms, agrees or does not.

It goes on until it is led back to where it came from; that last request is its owner's to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from harness.oauth import pages
from harness.oauth.tally import NotOffered, Wrong

Mind: TypeAlias = Literal["agrees", "denies"]

STEPS_MAX: Final = 12
NO: Final = ("cancel", "deny", "decline", "reject")
YES: Final = ("continue", "authorize", "allow", "sign", "log in", "verify", "next")


class Browser:
    """One person's."""

    def __init__(self, person: Mapping[str, str], verify: str | bool = True) -> None:
        """Take who it is.

        Args:
            person: what is typed, by the kind of field.
            verify: the certificates that are believed.
        """
        self.client = httpx.AsyncClient(timeout=30, verify=verify)
        self._person = person

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.client.aclose()

    async def visit(self, url: str, back: str, mind: Mind = "agrees") -> str:
        """Visit an issuer's page and do what it asks; return the way back with what is brought.

        Raises:
            Wrong: it leads nowhere.
        """
        answer = await self.client.get(url)
        for _ in range(STEPS_MAX):
            if answer.is_redirect:
                there = urljoin(str(answer.url), answer.headers["Location"])
                if there.partition("?")[0] == back:
                    return there
                answer = await self.client.get(there)
            elif answer.status_code == httpx.codes.OK and "html" in answer.headers["Content-Type"]:
                answer = await self._done(answer, mind)
            else:
                break
        raise Wrong(f"the issuer's page answered {answer.status_code}: {answer.text[:200]!r}")

    async def _done(self, answer: httpx.Response, mind: Mind) -> httpx.Response:
        page = pages.read(answer.text, str(answer.url))
        if mind == "denies":
            for words, link in page.links.items():
                if any(each in words.lower() for each in NO):
                    return await self.client.get(link)
        for form in page.forms:
            if press := pressed(form, NO if mind == "denies" else YES):
                filled = form.filled(self._person, press)
                return await self.client.request(form.method, form.action, data=filled)
        if mind == "denies":
            raise NotOffered("its page has no way to say no")
        raise Wrong("the issuer's page has no form that can be sent")


def pressed(form: pages.Form, wanted: tuple[str, ...]) -> str:
    """Return the words of the button that says one of these; "" where none does."""
    words = [each[2] for each in form.buttons]
    return next((each for each in words if any(want in each.lower() for want in wanted)), "")


def brought(url: str) -> dict[str, str]:
    """Return what a way back holds."""
    return {name: each[0] for name, each in parse_qs(urlsplit(url).query).items()}
