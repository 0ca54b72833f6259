"""What the guard would do with a URL, found out by doing it: the same client, to nobody.

A case gives the answers of the resolver and of the servers. The client that is made is the one that
every part of the product gets; only its resolver, its dialler and its handshake are played, so what
is decided is decided by the code that connects. Each played server closes its connection after one
answer, so that every hop is resolved, checked and dialled anew. A name without an answer has none:
nothing is ever looked up for a case. `explain` alone asks the system's resolver, and dials nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import httpx2
import orjson
import trio

from runtime import limits
from transports.egress import guard, listed, places
from transports.egress.denial import Decision, Denied
from transports.egress.guard import Reach

Verdict: TypeAlias = dict[str, Any]  # JSON: id, decision, reason, dial
HOPS_MAX = 100  # of a case; the guard follows five
LINE_ENDS = ("\r", "\n", "\0")  # no header on a wire can hold them


class BadCase(ValueError):
    """A case cannot be understood; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One URL, and the world it is asked in.

    Args:
        answers: of the resolver, by name: one after the other, the last again and again.
        redirects: of the servers, one a hop: status and Location.
        environment: the proxies that the environment names.
    """

    id: Any
    url: str
    reach: Reach
    answers: Mapping[str, Sequence[Sequence[str]]]
    redirects: Sequence[tuple[int, str]]
    environment: Mapping[str, str]


def case_of(line: str | bytes) -> Case:
    """Return the case that a line of JSON tells.

    Raises:
        BadCase: it tells none.
    """
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise BadCase("The line is not JSON.") from None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str):
        raise BadCase("The line is no object with a url.")
    policy = _table(told, "policy")
    exempt, networks = listed.exemptions(filter(_is_exemption, _texts(policy, "allowedAddresses")))
    reach = Reach(
        purpose="check",
        exempt=exempt,
        networks=networks,
        domains=tuple(map(_domain, _texts(policy, "allowedDomains"))),
        downgrade=policy.get("downgrade") is True,
    )
    answers = {_key(name): [_list(found)] for name, found in _table(told, "dns").items()}
    for name, turns in _table(told, "dns_sequence").items():
        answers[_key(name)] = [_list(each) for each in _list(turns)]
    environment = {str(key): str(value) for key, value in _table(told, "env").items()}
    return Case(
        id=told.get("id"),
        url=told["url"],
        reach=reach,
        answers=answers,
        redirects=[_redirect(each) for each in _list(told.get("redirects"))[:HOPS_MAX]],
        environment=environment,
    )


def _is_exemption(entry: str) -> bool:
    """Whether an entry says anything; one that does not exempts nothing."""
    try:
        listed.exemptions([entry])
    except listed.BadEntry:
        return False
    return True


def _domain(entry: str) -> listed.Domain:
    """Return an entry of an allow-list; one that says nothing is one that nothing is on."""
    try:
        return listed.domains([entry])[0]
    except listed.BadEntry:
        return listed.Domain(scheme=None, labels=(), below=False, port=None)


def _table(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadCase(f"{name} is no object.")
    return found


def _list(found: Any) -> list[Any]:
    if isinstance(found, list):
        return found
    return [] if found is None else [found]


def _texts(told: Mapping[str, Any], name: str) -> list[str]:
    found = _list(told.get(name))
    if not all(isinstance(each, str) for each in found):
        raise BadCase(f"{name} is no list of strings.")
    return found


def _redirect(told: Any) -> tuple[int, str]:
    match told:
        case [int(status), str(location)] if 100 <= status <= 999:  # noqa: PLR2004 -- RFC 9110
            return status, location
        case [int(status), None] | [int(status)]:
            return status, ""
    raise BadCase("A redirect is a status and a location.")


def _key(name: str) -> str:
    """Return a name as the guard looks it up; one that it never would, as it is."""
    try:
        return places.named(name)[0]
    except Denied:
        return name


async def rehearse(line: str | bytes) -> Verdict:
    """Return what the guard decides about the case that a line tells."""
    try:
        case = case_of(line)
    except BadCase as error:
        return {"id": _id_of(line), "decision": "block", "reason": f"case: {error}", "dial": None}
    return {"id": case.id, **await decide(case)}


def _id_of(line: str | bytes) -> Any:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return told.get("id") if isinstance(told, dict) else None


async def explain(url: str, reach: Reach) -> Verdict:
    """Return what the guard decides about a URL, by the system's resolver; nobody is dialled."""
    world = _World({}, [])
    played = replace(reach, dial=world.dial, resolve=guard.resolve, handshake=world.handshake)
    return await _asked(url, played, world)


async def decide(case: Case) -> Verdict:
    """Return what the guard decides about a case."""
    world = _World(case.answers, case.redirects)
    played = replace(case.reach, dial=world.dial, resolve=world.resolve, handshake=world.handshake)
    with _environment(case.environment):
        return await _asked(case.url, played, world)


async def _asked(url: str, reach: Reach, world: _World) -> Verdict:
    """Send a GET, follow where it leads, and say how that went."""
    told: list[Decision] = []
    reach = replace(reach, on_decision=told.append)
    async with guard.client(reach, follow_redirects=True) as client:
        try:
            with trio.fail_after(limits.EGRESS_REHEARSAL_S):
                await client.get(url)
        except Denied as denial:
            return _blocked(denial.rule, denial.reason)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            rule = told[-1].rule if told and not told[-1].allowed else "connection"
            return _blocked(rule, str(error) or "The name has no address.")
        except (httpx2.HTTPError, httpx2.InvalidURL, trio.TooSlowError, ValueError) as error:
            return _blocked("protocol", f"{type(error).__name__}: {error}")
    rules = ", then ".join(dict.fromkeys(each.rule for each in told))
    return {"decision": "allow", "reason": rules, "dial": world.dialled}


def _blocked(rule: str, reason: str) -> Verdict:
    return {"decision": "block", "reason": f"{rule}: {reason}", "dial": None}


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    """Have the environment name these proxies, so that it is seen that nobody asks for them."""
    proxies = {name: value for name, value in given.items() if name.lower().endswith("_proxy")}
    proxies = {k: v for k, v in proxies.items() if "\0" not in k + v and "=" not in k}
    before = {name: os.environ.get(name) for name in proxies}
    os.environ.update(proxies)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _World:
    """A resolver and a network that are played."""

    def __init__(
        self,
        answers: Mapping[str, Sequence[Sequence[str]]],
        redirects: Sequence[tuple[int, str]],
    ) -> None:
        self._answers = {name: list(turns) for name, turns in answers.items()}
        self._redirects = list(redirects)
        self.dialled: str | None = None

    async def resolve(self, host: str, port: int) -> list[str]:  # noqa: ARG002 -- as the real one
        turns = self._answers.get(host)
        if not turns or not turns[0]:
            raise OSError(f"There is no answer for {host}.")
        answer = turns.pop(0) if len(turns) > 1 else turns[0]
        return [str(each) for each in answer]

    async def dial(self, address: str, port: int) -> trio.abc.Stream:  # noqa: ARG002 -- likewise
        self.dialled = address
        return _Answering(self._redirects.pop(0) if self._redirects else (200, ""))

    async def handshake(self, stream: trio.abc.Stream, name: str) -> trio.abc.Stream:  # noqa: ARG002
        return stream


class _Answering(trio.abc.Stream):
    """A connection to a server that gives one answer and closes."""

    def __init__(self, answer: tuple[int, str]) -> None:
        status, location = answer
        if any(each in location for each in LINE_ENDS):
            raise Denied("url", "The redirect holds the end of a line.")
        there = f"Location: {location}\r\n" if location else ""
        head = f"HTTP/1.1 {status} -\r\n{there}Content-Length: 0\r\nConnection: close\r\n\r\n"
        self._left = head.encode("utf-8", "surrogatepass")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:  # noqa: ARG002
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002
        await trio.lowlevel.checkpoint()
        left, self._left = self._left, b""
        return left

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
