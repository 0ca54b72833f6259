"""Where a person is sent to give their consent for an action."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from transports.egress.actions.authorizing import Auth, authorization_url

PAGE = "https://id.example/authorize"


@pytest.mark.parametrize(
    ("page", "scope", "prompts"),
    [
        (PAGE, "cats offline_access", ["consent"]),  # OpenID: else the scope is to be ignored
        (PAGE, "cats", []),
        (PAGE, "", []),
        (f"{PAGE}?prompt=login+consent", "offline_access", ["login consent"]),
        (f"{PAGE}?tenant=a", "offline_access", ["consent"]),
    ],
)
def test_who_wants_tokens_for_later_has_the_person_asked(
    page: str, scope: str, prompts: list[str]
) -> None:
    auth = Auth(type="oauth_code", client_id="runchat", authorization_url=page, scope=scope)
    url = authorization_url(auth, redirect_uri="https://us.example/back", state="s", verifier="v")
    query = parse_qs(urlsplit(url).query)

    assert query.get("prompt", []) == prompts
    assert query.get("scope", []) == ([scope] if scope else [])
    assert query.get("tenant", []) == (["a"] if "tenant" in page else [])
