"""Tokens of MCP servers: proofs of possession, and records that only their owner opens."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from actors.mcp.grants import Grants
from runtime.caller import Caller
from runtime.hub import Hub
from specs.requirements import requirement
from specs.unit.store.kit import NOW_MS, Stopped, ids
from store import audit
from store.event_log import SqliteEventLog
from store.keyring import Keyring
from store.loop_writer import LoopWriter
from store.opening import Store, open_memory
from transports.egress.mcp import dpop
from transports.egress.mcp.authorizing import Authorized
from transports.egress.mcp.vault import Vault

ADA = Caller(tenant="local", user="ada")
ISSUER = {"issuer": "https://id.example", "token_endpoint": "https://id.example/token"}
URL = "https://small.example/mcp"
TOKEN = "a-token-that-nobody-else-reads"


def grants(store: Store, folder: Path, caller: Caller = ADA) -> Grants:
    log = SqliteEventLog(store.reader)
    return Grants(
        caller=caller,
        server="small",
        keyring=Keyring(folder),
        reader=store.reader,
        writer=LoopWriter(store.writer, log, Hub()),
        clock=Stopped(),
    )


async def signed_in(store: Store, folder: Path, **more: Any) -> Vault:
    """Return a vault that holds a registration and a token for 60 s."""
    vault = Vault(grants(store, folder), lambda: NOW_MS, URL)
    vault.note(issuer=ISSUER, **more)
    await vault.set_client_info(
        OAuthClientInformationFull(client_id="c", redirect_uris=None, issuer=ISSUER["issuer"])
    )
    await vault.set_tokens(OAuthToken(access_token=TOKEN, expires_in=60, refresh_token="r"))
    return vault


@requirement("mcp.grants")
async def test_tokens_come_back_after_a_restart_and_no_row_shows_them(tmp_path: Path) -> None:
    store = open_memory(ids())
    await signed_in(store, tmp_path)
    again = Vault(grants(store, tmp_path), lambda: NOW_MS + 20_000, URL)
    tokens = await again.get_tokens()
    client = await again.get_client_info()
    rows = store.reader.execute("SELECT * FROM mcp_grant").fetchall()
    entries = audit.list_page(store.reader, "local", limit=9)

    assert tokens is not None
    assert client is not None
    assert (tokens.access_token, tokens.expires_in, tokens.refresh_token) == (TOKEN, 40, "r")
    assert (client.client_id, client.issuer) == ("c", ISSUER["issuer"])
    assert [row[:4] for row in rows] == [("local", "ada", "small", ISSUER["issuer"])]
    assert TOKEN.encode() not in rows[0][4]
    assert {row.entry.action for row in entries} == {"mcp.grant"}


@requirement("mcp.grants")
async def test_what_was_kept_for_a_server_is_no_use_at_another_of_its_name(tmp_path: Path) -> None:
    store = open_memory(ids())
    await signed_in(store, tmp_path)
    moved = Vault(grants(store, tmp_path), lambda: NOW_MS, "https://moved.example/mcp")

    assert (await moved.get_tokens(), await moved.get_client_info()) == (None, None)
    assert moved.access_token is None


@requirement("mcp.grants")
async def test_another_person_or_a_row_that_was_moved_opens_nothing(tmp_path: Path) -> None:
    store = open_memory(ids())
    await signed_in(store, tmp_path)
    eve = Caller(tenant="local", user="eve")
    before = await grants(store, tmp_path, eve).load()
    store.writer.execute("UPDATE mcp_grant SET user = 'eve'")
    moved = await grants(store, tmp_path, eve).load()

    assert (before, moved) == (None, None)


async def test_a_refresh_token_whose_endpoint_is_not_known_is_not_used(tmp_path: Path) -> None:
    store = open_memory(ids())
    vault = await signed_in(store, tmp_path)
    vault.note(issuer=None)
    tokens = await vault.get_tokens()

    assert tokens is not None
    assert tokens.refresh_token is None


async def test_a_token_that_has_expired_is_not_presented(tmp_path: Path) -> None:
    now_ms = [NOW_MS]
    vault = Vault(grants(open_memory(ids()), tmp_path), lambda: now_ms[0], URL)
    await vault.set_tokens(OAuthToken(access_token=TOKEN, expires_in=60))
    fresh = vault.access_token
    now_ms[0] += 60_000

    assert (fresh, vault.access_token) == (TOKEN, None)


async def test_a_key_and_its_tokens_go_with_the_registration(tmp_path: Path) -> None:
    vault = await signed_in(open_memory(ids()), tmp_path)
    vault.note(key=dpop.new_key(), bound=True)
    await vault.set_client_info(OAuthClientInformationFull(client_id="d", redirect_uris=None))

    assert (vault.grant.key, vault.grant.bound, vault.access_token) == (None, False, None)


@requirement("mcp.dpop")
def test_a_proof_is_of_one_request_and_one_token_and_shows_no_private_key() -> None:
    key = dpop.new_key()
    made = dpop.proof(key, "POST", "https://m.example/mcp?q=1#f", 7, token=TOKEN, nonce="n")
    other = dpop.proof(key, "POST", "https://m.example/mcp", 7, token=TOKEN, nonce="n")
    told = jwt.decode(made, ECKey.import_key(key), algorithms=["ES256"])
    digest = base64.urlsafe_b64encode(hashlib.sha256(TOKEN.encode()).digest()).decode()

    assert {**told.claims, "jti": "j"} == {
        "jti": "j",
        "htm": "POST",
        "htu": "https://m.example/mcp",
        "iat": 7,
        "ath": digest.rstrip("="),
        "nonce": "n",
    }
    assert (told.header["typ"], told.header["alg"]) == ("dpop+jwt", "ES256")
    assert "d" not in told.header["jwk"]
    assert made != other


async def asked_never(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError(f"{request.url} was asked")


@requirement("mcp.dpop")
async def test_a_request_that_lacks_the_nonce_is_made_again_with_it(tmp_path: Path) -> None:
    vault = await signed_in(open_memory(ids()), tmp_path)
    vault.note(key=dpop.new_key(), bound=True)
    authorized = Authorized(httpx2.Auth(), vault, asked_never, Stopped())
    request = httpx2.Request("POST", "https://m.example/mcp")
    flow = authorized.async_auth_flow(request)
    first = (await anext(flow)).headers["DPoP"]
    wanted = {"DPoP-Nonce": "fresh", "WWW-Authenticate": 'DPoP error="use_dpop_nonce"'}
    second = (await flow.asend(httpx2.Response(401, headers=wanted, request=request))).headers
    with pytest.raises(StopAsyncIteration):
        await flow.asend(httpx2.Response(200, request=request))
    claims = [
        jwt.decode(each, ECKey.import_key(vault.grant.key or {}), algorithms=["ES256"]).claims
        for each in (first, second["DPoP"])
    ]

    assert second["Authorization"] == f"DPoP {TOKEN}"
    assert [each.get("nonce") for each in claims] == [None, "fresh"]
    assert claims[0]["jti"] != claims[1]["jti"]


async def test_a_token_that_is_known_goes_out_without_waiting_for_anybody(tmp_path: Path) -> None:
    vault = await signed_in(open_memory(ids()), tmp_path)
    authorized = Authorized(httpx2.Auth(), vault, asked_never, Stopped())
    flows = []
    for _ in range(3):
        request = httpx2.Request("POST", "https://m.example/mcp")
        flows.append(authorized.async_auth_flow(request))
    sent = [(await anext(flow)).headers["Authorization"] for flow in flows]
    for flow in flows:
        await flow.aclose()

    assert sent == [f"Bearer {TOKEN}"] * 3
