"""The input fitted to a window by the best count at hand.

An estimate is more rather than fewer: where all fits by it, that is all there is to know. Where it
does not, the vendor's own tokenizer is asked, if it is here, on a thread; else the estimate counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import trio

from actors import prompt
from runtime.problems import Invalid
from transports.egress.providers import tokenizers
from transports.egress.providers.asked import Input
from transports.egress.providers.base import Model


async def fit(
    items: Sequence[Input], model: Model, options: object, *, drops: bool = True
) -> tuple[Input, ...]:
    """Return the items that fit, as `prompt.fit` says; raises Invalid as it does."""
    try:
        return prompt.fit(items, model, options, drops=False)
    except Invalid:
        count = await tokenizers.at_hand(model)
    if count is None:
        return prompt.fit(items, model, options, drops=drops)
    exactly = partial(prompt.fit, items, model, options, drops=drops, count=count)
    return await trio.to_thread.run_sync(exactly)


async def count(items: Sequence[Input], more: Sequence[str], model: Model) -> int:
    """Return the tokens of items and of further texts, an estimate where it can be no more."""
    exact = await tokenizers.at_hand(model)
    if exact is None:
        return prompt.tokens_in(items, more)
    return await trio.to_thread.run_sync(prompt.tokens_in, items, more, exact)
