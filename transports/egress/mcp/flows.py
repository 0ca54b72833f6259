"""The SDK's authorization flows, with what they leave out.

What they leave out: a refresh after a restart goes to the endpoint that was stored with its issuer;
a failing issuer costs no refresh token; PKCE is demanded; an authorization URL is http or https;
and the machine's own identity is a grant (RFC 7523, section 2.1), tried once an assertion.
Source: MCP 2026-07-28, authorization; SEP-1933; the SDK's `OAuthClientProvider`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, assert_never
from urllib.parse import parse_qsl

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthTokenError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.auth.utils import (
    extract_field_from_www_auth,
    extract_scope_from_www_auth,
    union_scopes,
)
from mcp.shared.auth import (
    JWT_BEARER_GRANT_TYPE,
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, Field, field_serializer

from transports.egress import places
from transports.egress.denial import Denied
from transports.egress.mcp.servers import Access, Credentials, Enterprise, Person, Workload
from transports.egress.mcp.vault import Vault

LONG_AGO: Final = 1.0  # seconds after 1970: a token that was refused has expired, to the SDK
PASSES: Final = frozenset({429, 500, 502, 503, 504})  # a refresh that failed so may be tried again


class SignInNeeded(OAuthFlowError):
    """Somebody has to sign in with a browser, and nobody is there."""


class Stored(OAuthClientProvider):
    """What every flow does with what was stored."""

    vault: Vault

    async def _initialize(self) -> None:
        await super()._initialize()
        found, context = self.vault.grant, self.context
        if found.resource is not None:
            context.protected_resource_metadata = ProtectedResourceMetadata.model_validate(
                found.resource
            )
        if found.issuer is not None:
            context.oauth_metadata = OAuthMetadata.model_validate(found.issuer)
            context.auth_server_url = str(context.oauth_metadata.issuer)
        if context.current_tokens is not None:
            context.update_token_expiry(context.current_tokens)

    async def _handle_refresh_response(self, response: httpx2.Response) -> bool:
        if response.status_code in PASSES:
            raise OAuthTokenError("The authorization server cannot refresh the token now.")
        refreshed = await super()._handle_refresh_response(response)
        if not refreshed:
            await self.vault.forget_tokens()
        return refreshed


class Registration(OAuthClientMetadata):
    """What is registered; its scope is also what was found missing: an issuer may allow no more."""

    wanted: str | None = Field(default=None, exclude=True)

    @field_serializer("scope")
    def _all(self, scope: str | None) -> str | None:
        return union_scopes(scope, self.wanted)


class PersonFlow(Stored):
    """A person signs in."""

    def __init__(self, url: str, access: Person, vault: Vault) -> None:
        self._registration = Registration(
            client_name=access.client_name,
            redirect_uris=[AnyUrl(access.redirect_uri)],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
        )
        super().__init__(
            server_url=url,
            client_metadata=self._registration,
            storage=vault,
            redirect_handler=self._show,
            callback_handler=self._returned,
            client_metadata_url=access.metadata_url or None,
        )
        self.vault, self._access, self._url = vault, access, ""

    async def _initialize(self) -> None:
        await super()._initialize()
        self._registration.wanted = self.vault.grant.wanted
        if self._access.client_id:
            self.context.client_info = _registered(self._access)

    def _auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        return super()._auth_flow(request) if self._access.consent else self._alone(request)

    async def _alone(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Refresh where that helps; nobody is there, so nothing is looked for or registered."""
        for last in (False, True):
            async with aclosing(super()._auth_flow(request)) as flow:
                outgoing, asked = await anext(flow), False
                while True:
                    asked |= outgoing is not request
                    answer = yield outgoing
                    if outgoing is request and (needed := _needed(answer)):
                        break
                    try:
                        outgoing = await flow.asend(answer)
                    except StopAsyncIteration:
                        return
            tried = last or asked or answer.status_code != httpx2.codes.UNAUTHORIZED
            tokens = self.context.current_tokens
            if tried or tokens is None or not self.context.can_refresh_token():
                await self._want(answer)
                raise SignInNeeded(needed)
            if request.headers.get("Authorization", "").endswith(f" {tokens.access_token}"):
                self.context.token_expiry_time = LONG_AGO  # else another has refreshed meanwhile

    async def _want(self, answer: httpx2.Response) -> None:
        """Keep which scope was found missing: the next sign-in asks for it too."""
        if answer.status_code == httpx2.codes.FORBIDDEN:
            tokens = self.context.current_tokens
            had = tokens.scope if tokens else None
            await self.vault.want(union_scopes(had, extract_scope_from_www_auth(answer)))

    async def _perform_authorization_code_grant(self) -> tuple[str, str]:
        metadata = self.context.oauth_metadata
        if metadata and "S256" not in (metadata.code_challenge_methods_supported or ()):
            raise OAuthFlowError("The authorization server does not say that it takes PKCE.")
        registration = self._registration
        registration.scope = union_scopes(registration.scope, registration.wanted)
        return await super()._perform_authorization_code_grant()

    async def _show(self, url: str) -> None:
        try:
            places.read(url)
        except Denied as denial:
            raise OAuthFlowError(f"The authorization URL is none. {denial.reason}") from denial
        self._url = url

    async def _returned(self) -> AuthorizationCodeResult:
        assert self._access.consent is not None
        found = await self._access.consent(self._url)
        if found.error:
            raise OAuthFlowError(f"The authorization server says: {found.error}")
        return AuthorizationCodeResult(code=found.code, state=found.state, iss=found.issuer)


class SecretFlow(Stored, ClientCredentialsOAuthProvider):
    """The service signs in with its secret."""

    def __init__(self, url: str, access: Credentials, vault: Vault) -> None:
        super().__init__(
            server_url=url,
            storage=vault,
            client_id=access.client_id,
            client_secret=access.client_secret.reveal(),
            scope=access.scope,
            issuer=access.issuer,
        )
        self.vault = vault


class KeyFlow(Stored, PrivateKeyJWTOAuthProvider):
    """The service signs in with a key of its own."""

    def __init__(self, url: str, access: Credentials, vault: Vault) -> None:
        signs = SignedJWTParameters(
            issuer=access.client_id,
            subject=access.client_id,
            signing_key=access.private_key.reveal(),
            signing_algorithm=access.algorithm,
        )
        super().__init__(
            server_url=url,
            storage=vault,
            client_id=access.client_id,
            assertion_provider=signs.create_assertion_provider(),
            scope=access.scope,
            issuer=access.issuer,
        )
        self.vault = vault


class WorkloadFlow(Stored, ClientCredentialsOAuthProvider):
    """The machine's own identity is the grant; an assertion that was refused is not tried again."""

    def __init__(self, url: str, access: Workload, vault: Vault) -> None:
        super().__init__(
            server_url=url,
            storage=vault,
            client_id=access.client_id,
            client_secret="",  # a public client: the assertion says who it is
            scope=access.scope,
            issuer=access.issuer,
        )
        self.vault, self._access = vault, access
        self._offered = self._refused = ""

    async def _exchange_token_client_credentials(self) -> httpx2.Request:
        made = await super()._exchange_token_client_credentials()
        assertion = (await self._access.assertion(self._access.issuer)).reveal()
        self._offered = hashlib.sha256(assertion.encode()).hexdigest()
        if self._offered == self._refused:
            raise OAuthTokenError("The authorization server has refused this assertion.")
        form = dict(parse_qsl(made.content.decode())) | {
            "grant_type": JWT_BEARER_GRANT_TYPE,
            "assertion": assertion,
            "client_id": self._access.client_id,
        }
        return httpx2.Request("POST", made.url, data=form)

    async def _handle_token_response(self, response: httpx2.Response) -> None:
        if response.is_client_error:
            self._refused = self._offered
        await super()._handle_token_response(response)


def flow_for(url: str, access: Access, vault: Vault) -> httpx2.Auth:
    """Return the flow that gets tokens for a server."""
    match access:
        case Person():
            return PersonFlow(url, access, vault)
        case Workload():
            return WorkloadFlow(url, access, vault)
        case Credentials(private_key=key):
            return KeyFlow(url, access, vault) if key else SecretFlow(url, access, vault)
        case Enterprise():
            return _enterprise(url, access, vault)
        case _:
            assert_never(access)


def _enterprise(url: str, access: Enterprise, vault: Vault) -> httpx2.Auth:
    async def id_jag(audience: str, resource: str) -> str:
        return (await access.id_jag(audience, resource)).reveal()

    return IdentityAssertionOAuthProvider(
        server_url=url,
        storage=vault,
        client_id=access.client_id,
        client_secret=access.client_secret.reveal(),
        issuer=access.issuer,
        assertion_provider=id_jag,
        token_endpoint_auth_method="client_secret_basic",  # noqa: S106 -- the name of a method
    )


def _needed(answer: httpx2.Response) -> str:
    """Return why somebody has to sign in; "" where an answer does not say so."""
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        return "Somebody has to sign in."
    error = extract_field_from_www_auth(answer, "error")
    if answer.status_code == httpx2.codes.FORBIDDEN and error == "insufficient_scope":
        return "Somebody has to sign in again: the server wants more to be allowed."
    return ""


def _registered(access: Person) -> OAuthClientInformationFull:
    """Return a registration that was made beforehand."""
    secret = access.client_secret.reveal()
    return OAuthClientInformationFull(
        client_id=access.client_id,
        client_secret=secret or None,
        redirect_uris=[AnyUrl(access.redirect_uri)],
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        issuer=access.issuer or None,
    )
