"""What a person or the service may do at a server, kept: registration, tokens, and their issuer.

One record holds all that belongs together, so that a refresh token is sent to no endpoint but the
one that was found beside it: after a restart the SDK would guess that endpoint from the server's
own address. Whoever keeps the record seals it; here it is open only in memory.
Source: the SDK's `TokenStorage`; RFC 9449 section 5 (a key belongs to its tokens).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from runtime.secret import Secret


class Kept(Protocol):
    """Where the record of one person at one server is kept, sealed."""

    async def load(self) -> Secret | None:
        """Return the record that was kept last; None where there is none or it does not open."""
        ...

    async def keep(self, issuer: str, record: Secret) -> None:
        """Keep a record in place of the one of the same issuer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """All that belongs together, as JSON.

    Args:
        client: the registration with the issuer.
        expires_at_ms: of the access token; None: nobody said.
        resource: the server's metadata (RFC 9728), and `issuer` its authorization server's (8414).
        key: the private JWK that the tokens are bound to; `bound`: they really are.
        wanted: the scope that was found missing, for the next sign-in.
        url: the server that all this is for; "": it was kept before that was noted.
    """

    client: dict[str, Any] | None = None
    tokens: dict[str, Any] | None = None
    expires_at_ms: int | None = None
    resource: dict[str, Any] | None = None
    issuer: dict[str, Any] | None = None
    key: dict[str, Any] | None = None
    bound: bool = False
    wanted: str | None = None
    url: str = ""


class Vault:
    """The SDK's `TokenStorage` over a record that is kept. One for a person and a server."""

    def __init__(
        self, kept: Kept, now_ms: Callable[[], int], url: str, *, anew_at: str | None = None
    ) -> None:
        """Take where the record is kept.

        Args:
            url: of the server: what was kept for another of this name is void.
            anew_at: somebody signs in anew and comes back to this URI: the tokens there were are
                not used, nor a registration of another URI, or one that allows less than is wanted.
        """
        self.grant = Grant(url=url)
        self._kept, self._now_ms, self._anew_at = kept, now_ms, anew_at
        self._loaded = False

    def note(self, **found: Any) -> None:
        """Note what was found on the way; it is kept with the tokens that come of it."""
        self.grant = replace(self.grant, **found)

    @property
    def access_token(self) -> str | None:
        """The token to present, if one is known that has not expired."""
        grant = self.grant
        if not grant.tokens:
            return None
        if grant.expires_at_ms is not None and self._now_ms() >= grant.expires_at_ms:
            return None
        return str(grant.tokens["access_token"])

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens, with the seconds that they have left."""
        await self._load()
        if not self.grant.tokens:
            return None
        tokens = OAuthToken.model_validate(self.grant.tokens)
        if self.grant.expires_at_ms is not None:
            left_ms = self.grant.expires_at_ms - self._now_ms()
            tokens.expires_in = max(0, left_ms // 1000)
        if self.grant.issuer is None:  # nobody knows where it would have to be sent
            tokens.refresh_token = None
        return tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens, with what was noted."""
        expires_at_ms = None
        if tokens.expires_in is not None:
            expires_at_ms = self._now_ms() + 1000 * tokens.expires_in
        self.note(tokens=tokens.model_dump(mode="json"), expires_at_ms=expires_at_ms)
        await self._keep()

    async def forget_tokens(self) -> None:
        """Forget tokens that are of no use any more; the registration stays."""
        self.note(tokens=None, expires_at_ms=None, bound=False)
        await self._keep()

    async def want(self, scope: str | None) -> None:
        """Keep which scope was found missing."""
        self.note(wanted=scope)
        await self._keep()

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the registration."""
        await self._load()
        if self.grant.client is None:
            return None
        return OAuthClientInformationFull.model_validate(self.grant.client)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep a registration; the tokens of the one before are void."""
        client = client_info.model_dump(mode="json", exclude_none=True)
        self.note(client=client, tokens=None, expires_at_ms=None, key=None, bound=False)
        await self._keep()

    async def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        record = await self._kept.load()
        if record is not None:
            found, url = Grant(**orjson.loads(record.reveal())), self.grant.url
            if found.url in ("", url):
                self.grant = replace(found, url=url)
        if self._anew_at is not None:
            client = self.grant.client or {}
            known = self._anew_at in (client.get("redirect_uris") or ())
            allowed, wanted = client.get("scope"), set((self.grant.wanted or "").split())
            known &= allowed is None or wanted <= set(allowed.split())
            self.note(tokens=None, expires_at_ms=None, client=client if known else None)

    async def _keep(self) -> None:
        issuer = self.grant.issuer or self.grant.client or {}
        names = {name: getattr(self.grant, name) for name in Grant.__slots__}
        record = Secret(orjson.dumps(names).decode())
        self._loaded = True  # what is kept from now on is newer
        await self._kept.keep(str(issuer.get("issuer") or ""), record)
