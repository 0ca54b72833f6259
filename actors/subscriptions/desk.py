"""What can be asked of subscriptions, by their owners and by whoever holds a wake's token."""

from __future__ import annotations

from typing import Any

from pykka import ActorDeadError

from actors.spine import Spine
from actors.subscriptions import wake_telling, wake_tokens
from actors.subscriptions.wake_tokens import WakeToken
from actors.subscriptions.words import (
    Ack,
    AddStreams,
    Claim,
    Describe,
    Release,
    RemoveStream,
    Subscribe,
    Unsubscribe,
    text_of,
)
from runtime import limits
from runtime.caller import Caller
from runtime.problems import Busy, Invalid, NotFound, WebhookRejected
from store import subscriptions
from store.subscriptions import SubscriptionKey
from transports.egress.webhooks import Signer, rejected

MISSING = "There is no such subscription."


class Subscriptions:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine

    async def put(self, caller: Caller, id: str, asked: Subscribe) -> bool:
        """Make a subscription or confirm it; say whether it is new.

        Raises:
            WebhookRejected, StreamConflict, TooManyRequests, AuditUnavailable.
        """
        if len(id) > limits.SUBSCRIPTION_TEXT_MAX or "\x00" in id:
            raise Invalid.at("/id", "The id is too long.")
        if asked.wanted.webhook_url is not None:
            self._check(asked.wanted.webhook_url)
        key = SubscriptionKey(tenant=caller.tenant, user=caller.user, id=id)
        return bool(await self._spine.subscriptions.ask(text_of(key), asked))

    async def ask(
        self,
        caller: Caller,
        id: str,
        message: Unsubscribe | Describe | AddStreams | RemoveStream | Claim,
    ) -> Any:
        """Ask a subscription of the caller's.

        Raises:
            NotFound: there is none, for this caller; and what the message says.
        """
        key = SubscriptionKey(tenant=caller.tenant, user=caller.user, id=id)
        return await self._ask(key, message)

    async def ask_holder(self, token: WakeToken, message: Ack | Release) -> Any:
        """Ask the subscription that a token is of.

        Raises:
            NotFound: it has been deleted; and what the message says.
        """
        return await self._ask(token.key, message)

    async def token(self, text: str, id: str) -> WakeToken:
        """Return what a token says.

        Raises:
            Unauthenticated: it is none of ours.
            NotFound: it is another subscription's.
        """
        token = await wake_tokens.read(self._spine, text)
        if token.key.id != id:
            raise NotFound(MISSING)
        return token

    async def signer(self) -> Signer:
        """Return what signs deliveries."""
        return await wake_telling.signer(self._spine)

    async def _ask(self, key: SubscriptionKey, message: object) -> Any:
        if subscriptions.find(self._spine.reader, key) is None:
            raise NotFound(MISSING)
        try:
            return await self._spine.subscriptions.ask(text_of(key), message)
        except ActorDeadError:
            raise Busy("The subscription cannot answer now.") from None

    def _check(self, url: str) -> None:
        if self._spine.webhooks is None:
            raise _off()
        self._spine.webhooks.check(url)


def _off() -> WebhookRejected:
    return rejected("Webhooks are off here; the setting streams.webhooks turns them on.")
