"""How an action's request shows who is asking: what is put on it, and where tokens come from.

A token is asked for by form, with the client's secret in the header; an authorization code is bound
to its verifier (PKCE S256). What the issuer answers is believed as far as it is a token for a
bearer; its error is told by its code, never by its words.
Source: RFC 6749 sections 4.1, 4.4, 5 and 6; RFC 7636; RFC 6750 section 2.1; RFC 7009; OpenID
Connect Core section 11.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qs, quote_plus, urlencode, urljoin, urlsplit

import orjson

from runtime import limits
from runtime.problems import UpstreamSaid
from runtime.secret import Secret
from transports.egress import guard
from transports.egress.actions.requests import Made
from transports.egress.opening import client_of
from transports.egress.revoking import Leaving, revoke

Kind: TypeAlias = Literal[
    "none", "header", "query", "basic", "bearer", "oauth_code", "oauth_client"
]
SECRETS: Final[Mapping[str, tuple[str, ...]]] = {  # what each kind wants, and is sealed
    "none": (),
    "header": ("value",),
    "query": ("value",),
    "basic": ("password",),
    "bearer": ("value",),
    "oauth_code": ("client_secret",),
    "oauth_client": ("client_secret",),
}
OAUTH: Final = ("oauth_code", "oauth_client")
OK: Final = 200
REFUSALS: Final = (400, 401, 403)  # of the grant; anything else may pass
METADATA: Final = (  # of an issuer, RFC 8414 section 3 and OpenID Connect Discovery section 4
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)
CODE_CHARS_MAX: Final = 64  # of an error's code


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How one shows who one is; secrets are apart.

    Args:
        name: of the header or of the query's parameter.
        client_auth: where the client's secret goes: into the header, or into the form.
        revocation_url: where the issuer hears of who signs out; "": where it says itself, if it is
            at the root of the token endpoint's origin that it says so.
    """

    type: Kind = "none"
    name: str = ""
    username: str = ""
    client_id: str = ""
    authorization_url: str = ""
    token_url: str = ""
    scope: str = ""
    client_auth: Literal["basic", "post"] = "basic"
    revocation_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What an issuer gave; `expires_at_ms` None: it did not say."""

    access: str
    refresh: str = ""
    expires_at_ms: int | None = None

    def is_good(self, now_ms: int) -> bool:
        """Say whether the token can still be presented."""
        return self.expires_at_ms is None or now_ms < self.expires_at_ms


def shown(made: Made, auth: Auth, secrets: Mapping[str, Secret], token: str = "") -> Made:
    """Return a request with the credentials on it.

    Args:
        token: where `auth` is one of OAuth's.
    """
    value = secrets["value"].reveal() if "value" in secrets else ""
    match auth.type:
        case "header":
            header = (auth.name, value)
        case "query":
            mark = "&" if "?" in made.url else "?"
            url = f"{made.url}{mark}{quote_plus(auth.name)}={quote_plus(value)}"
            return Made(method=made.method, url=url, headers=made.headers, content=made.content)
        case "basic":
            pair = f"{auth.username}:{secrets['password'].reveal()}"
            header = ("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
        case "bearer":
            header = ("Authorization", f"Bearer {value}")
        case "none":
            return made
        case _:
            header = ("Authorization", f"Bearer {token}")
    kept = [each for each in made.headers if each[0].lower() != header[0].lower()]
    return Made(method=made.method, url=made.url, headers=(*kept, header), content=made.content)


def authorization_url(auth: Auth, *, redirect_uri: str, state: str, verifier: str) -> str:
    """Return where a person gives their consent.

    Who wants tokens for later has them asked each time: else OpenID has an issuer ignore the wish.
    """
    page = urlsplit(auth.authorization_url)
    later = "offline_access" in auth.scope.split() and "prompt" not in parse_qs(page.query)
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": auth.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
        **({"scope": auth.scope} if auth.scope else {}),
        **({"prompt": "consent"} if later else {}),
    }
    mark = "&" if "?" in auth.authorization_url else "?"
    return f"{auth.authorization_url}{mark}{urlencode(asked)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Asks one token endpoint for tokens."""

    auth: Auth
    client_secret: Secret
    reach: guard.Reach = field(default_factory=guard.Reach)

    async def by_code(self, code: str, *, redirect_uri: str, verifier: str, now_ms: int) -> Tokens:
        """Return the tokens of a code; raises Upstream."""
        form = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        return await self._asked("authorization_code", form, now_ms)

    async def by_client(self, now_ms: int) -> Tokens:
        """Return a token of the service's own; raises Upstream."""
        scope = {"scope": self.auth.scope} if self.auth.scope else {}
        return await self._asked("client_credentials", scope, now_ms)

    async def by_refresh(self, tokens: Tokens, now_ms: int) -> Tokens:
        """Return newer tokens; raises Upstream."""
        fresh = await self._asked("refresh_token", {"refresh_token": tokens.refresh}, now_ms)
        if fresh.refresh:
            return fresh
        return Tokens(
            access=fresh.access, refresh=tokens.refresh, expires_at_ms=fresh.expires_at_ms
        )

    async def revoke(self, tokens: Tokens) -> bool:
        """Tell the issuer that tokens are of no use any more; say whether it took them."""
        auth, reach = self.auth, self.reach
        endpoint = auth.revocation_url
        if endpoint:
            reach = replace(reach, domains=guard.only(endpoint))
        else:
            endpoint = await self._revocation_endpoint()
        leaving = Leaving(
            endpoint=endpoint,
            client_id=auth.client_id,
            client_secret=self.client_secret,
            in_form=auth.client_auth == "post",
            tokens={"refresh_token": tokens.refresh, "access_token": tokens.access},
        )
        return await revoke(leaving, reach)

    async def _revocation_endpoint(self) -> str:
        """Return what the issuer says of itself, if it is this issuer; "" where it says nothing."""
        token_url = self.auth.token_url
        async with client_of(self.reach) as client:
            for path in METADATA:
                answer = await client.get(urljoin(token_url, path))
                found = _json(answer.content)
                if answer.status_code == OK and found.get("token_endpoint") == token_url:
                    return str(found.get("revocation_endpoint") or "")
        return ""

    async def _asked(self, grant: str, form: Mapping[str, str], now_ms: int) -> Tokens:
        auth, secret = self.auth, self.client_secret.reveal()
        fields = {"grant_type": grant, **form}
        headers = {"Accept": "application/json"}
        if secret and auth.client_auth == "basic":
            pair = f"{quote_plus(auth.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": auth.client_id} | ({"client_secret": secret} if secret else {})
        async with client_of(self.reach) as client:
            answer = await client.post(auth.token_url, data=fields, headers=headers)
        return _tokens(answer.status_code, answer.content, now_ms)


def _json(body: bytes) -> dict[str, Any]:
    """Return the object of an answer; an empty one where it holds none."""
    try:
        found: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _tokens(status: int, body: bytes, now_ms: int) -> Tokens:
    said = _json(body)
    access, kind = said.get("access_token"), said.get("token_type", "bearer")
    if status != OK or not isinstance(access, str) or not access:
        why = str(said.get("error", ""))[:CODE_CHARS_MAX] or f"HTTP {status}"
        code = "token-refused" if status in REFUSALS else "issuer-failed"
        raise UpstreamSaid(f"The issuer gave no token: {why}.", code=code, **{"class": "auth"})
    if str(kind).lower() != "bearer" or not access.isascii() or not access.isprintable():
        raise UpstreamSaid(
            "The issuer gave a token that cannot be shown.", code="token", **{"class": "auth"}
        )
    expires, refresh = said.get("expires_in"), said.get("refresh_token")
    try:
        left_s = max(0, min(int(expires), limits.STREAM_TTL_S_MAX)) if expires is not None else None
    except (TypeError, ValueError):
        left_s = None
    return Tokens(
        access=access,
        refresh=refresh if isinstance(refresh, str) else "",
        expires_at_ms=None if left_s is None else now_ms + 1000 * left_s,
    )
