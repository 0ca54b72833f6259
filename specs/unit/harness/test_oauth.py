"""What the proof of our OAuth reads off an issuer's page, counts, and cannot be talked into."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from harness.oauth import main, pages
from harness.oauth.browser import NO, YES, brought, pressed
from harness.oauth.main import HERE, outcome
from harness.oauth.resource import Checked
from harness.oauth.stage import Provider, asks
from harness.oauth.tally import NotOffered, Tally, Wrong, same, some
from transports.egress.mcp import dpop

URL = "https://id.example/interaction/7?x=1"
LOGIN = """<form action="/login" method="post"><input type="hidden" name="prompt" value="login"/>
<input type="text" name="user"><input type="password" name="word"><input type="checkbox" name="n">
<button type="submit" name="do" value="1"> Sign-<b>in</b> </button>
<button type="button">Help</button></form><a href="/abort">[ Cancel ]</a>"""
SERVER, NOW_S = "https://mcp.example/mcp", 1_800_000_000


def test_a_form_is_sent_with_what_was_typed_what_was_hidden_and_the_button() -> None:
    page = pages.read(LOGIN, URL)
    [form] = page.forms

    assert (form.action, form.method) == ("https://id.example/login", "post")
    assert form.filled({"text": "ann", "password": "p"}, "sign-in") == {
        "prompt": "login",
        "user": "ann",
        "word": "p",
        "do": "1",
    }
    assert page.links == {"[ Cancel ]": "https://id.example/abort"}


def test_a_button_that_is_not_there_is_not_pressed() -> None:
    [form] = pages.read(LOGIN, URL).forms
    with pytest.raises(LookupError):
        form.filled({}, "allow")
    assert (pressed(form, YES), pressed(form, NO)) == ("Sign-in", "")


def test_a_form_without_an_address_goes_where_its_page_is() -> None:
    [form] = pages.read("<form><input type=submit value=Go></form>", URL).forms
    assert (form.action, form.method, form.buttons) == (URL, "get", [("", "Go", "Go")])


def test_what_is_brought_back_is_read_whole() -> None:
    assert brought("http://us/back?code=a%2Bb&state=s&iss=") == {"code": "a+b", "state": "s"}


def test_what_is_not_as_it_has_to_be_is_told() -> None:
    same("a", 1, 1)
    some("a", [1])
    with pytest.raises(Wrong, match="the calls: 2, not 1"):
        same("the calls", 2, 1)
    with pytest.raises(Wrong, match="tokens: none"):
        some("tokens", [])


def test_only_posts_to_a_place_since_then_are_counted() -> None:
    asked = [
        {"path": "/reg", "posted": True, "status": 201},
        {"path": "/reg", "posted": False, "status": 200},
        {"path": "/token", "posted": True, "status": 200},
        {"path": "/register", "posted": True, "status": 400},
    ]
    assert asks(asked, 0, "/reg") == [201, 400]
    assert asks(asked, 1, "/reg") == [400]


def test_what_failed_counts_and_what_could_not_be_asked_does_not() -> None:
    tally = Tally()
    assert (tally.holds, tally.summary()) == (False, "not asked: 0\n0/0")
    assert tally.note("id", "one", "passed") == "passed id: one"
    tally.note("id", "two", "not asked", "it has none")
    assert (tally.holds, tally.summary()) == (True, "not asked: 1\n1/1")
    assert tally.note("id", "three", "failed", "why") == "failed id: three (why)"
    assert (tally.holds, tally.summary()) == (False, "not asked: 1\n1/2")


@dataclass(slots=True)
class Empty:
    """A stage on which nothing stands."""

    provider: Provider

    async def clear(self) -> None:
        """There is nothing on it."""

    async def lives(self) -> None:
        """Tokens live as they do."""

    def words(self) -> str:
        return "what it said"


@pytest.mark.parametrize(
    ("raised", "how"),
    [
        (None, "passed"),
        (Wrong("no"), "failed"),
        (LookupError("no"), "failed"),
        (NotOffered("no"), "not asked"),
    ],
)
async def test_each_scenario_is_told_by_how_it_went(raised: Exception | None, how: str) -> None:
    tally = Tally()

    async def play(_: Any) -> None:
        if raised is not None:
            raise raised

    stage: Any = Empty(provider=Provider(name="id", command=()))
    line = await outcome(stage, "one", play, tally)

    assert line.startswith(f"{how} id: one")
    assert (tally.total, tally.holds) == (int(how != "not asked"), how == "passed")


def test_it_says_how_it_is_used_and_pins_what_it_installs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["--help"]) == 2
    assert capsys.readouterr().err == main.USAGE + "\n"
    pinned = (Path(HERE) / "nanoidp.txt").read_text(encoding="utf-8").split()
    assert "nanoidp==3.4.0" in pinned
    assert [each for each in pinned if "==" not in each] == []


class Known(Checked):
    """Knows of every token that it is bound to a key."""

    async def claims(self, token: str) -> dict[str, Any]:
        return {"cnf": {"jkt": self.secret}}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({}, ""),
        ({"method": "GET"}, "htm"),
        ({"url": "https://mcp.example/other"}, "htu"),
        ({"token": "another"}, "ath"),
        ({"now_s": 1_000}, "iat"),
        ({"key": dpop.new_key()}, "jkt"),
    ],
)
async def test_a_proof_of_another_request_token_time_or_key_is_none(
    wrong: dict[str, Any], why: str
) -> None:
    key = dpop.new_key()
    usual: dict[str, Any] = {
        "key": key,
        "method": "POST",
        "url": SERVER,
        "now_s": NOW_S,
        "token": "t",
    }
    proof = dpop.proof(**(usual | wrong))
    thumbprint = ECKey.import_key(key).thumbprint()
    checked = Known(issuer="", resource=SERVER, secret=thumbprint, by_keys=False)

    found = [await checked.proved("t", proof, "POST", SERVER, NOW_S) for _ in range(2)]

    assert found == [why, why or "jti"]  # what was shown once is none any more
