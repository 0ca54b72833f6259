"""The vendor's own count: what fits by it is not left out, and no vocabulary is fetched for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiktoken
from tiktoken import load, registry
from tiktoken import model as tiktoken_models

from actors import fitting, prompt
from runtime import limits
from runtime.problems import Invalid
from specs.requirements import requirement
from transports.egress.providers import tokenizers
from transports.egress.providers.asked import said
from transports.egress.providers.base import Model, Options

NAME = "of-words"
WORDS = "tell me " * 300  # as many tokens twice; 800 by the estimate
ROOM = 256  # for the answer
PARTS = (b"te", b"tel", b"tell", b"tell ", b"me", b"me ")


@pytest.fixture
def of_words() -> Iterator[Model]:
    """A model of the vendor whose vocabulary is here, under a name that nobody has."""
    bytes_alone = {bytes([each]): each for each in range(256)}
    registry.ENCODINGS[NAME] = tiktoken.Encoding(
        NAME,
        pat_str=r"\S+\s?|\s",
        mergeable_ranks=bytes_alone | {part: 256 + n for n, part in enumerate(PARTS)},
        special_tokens={},
    )
    tiktoken_models.MODEL_TO_ENCODING[NAME] = NAME
    yield Model(id=f"o/{NAME}", endpoint="o", vendor="openai", context=ROOM + 8 + 600 + 20)
    del registry.ENCODINGS[NAME], tiktoken_models.MODEL_TO_ENCODING[NAME]
    tokenizers.counter.cache_clear()


@pytest.fixture
def vocabularies() -> Iterator[None]:
    if "TIKTOKEN_CACHE_DIR" not in os.environ:
        pytest.skip("TIKTOKEN_CACHE_DIR names no directory of OpenAI's vocabularies")
    tokenizers.counter.cache_clear()
    yield
    tokenizers.counter.cache_clear()


@requirement("turns.fit")
async def test_what_fits_by_the_models_own_count_is_not_left_out(of_words: Model) -> None:
    items = [said("user", "hi"), said("user", WORDS)]
    kept = await fitting.fit(items, of_words, Options())
    with pytest.raises(Invalid):
        prompt.fit(items, of_words, Options())
    assert kept == tuple(items)


@requirement("turns.fit")
async def test_what_does_not_fit_by_it_either_is_left_out(of_words: Model) -> None:
    items = [said("user", WORDS), said("user", WORDS)]
    assert await fitting.fit(items, of_words, Options()) == (items[1],)


@requirement("turns.fit")
async def test_a_long_text_is_counted_piece_by_piece(of_words: Model) -> None:
    text = "tell me " * (limits.TOKENIZED_CHARS // 4)
    assert await fitting.count([said("user", text)], ["me "], of_words) == len(text) // 4 + 17


@requirement("turns.fit")
async def test_a_vocabulary_that_is_not_here_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    far = Model(id="o/gpt-4o", endpoint="o", vendor="openai", context=300)
    assert await tokenizers.at_hand(far) is None
    assert await fitting.count([said("user", WORDS)], [], far) == 808
    with pytest.raises(tokenizers.NotAtHand):
        load.read_file("http://127.0.0.1:9/vocabulary")


async def test_another_vendors_model_is_not_counted_by_it(of_words: Model) -> None:
    other = Model(id=of_words.id, endpoint="o", vendor="anthropic", context=300)
    assert await tokenizers.at_hand(other) is None


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("gpt-4", "tiktoken is great!", 6),
        ("gpt-4o", "tiktoken is great!", 6),
        ("gpt-4", "お誕生日おめでとう", 9),  # as OpenAI's cookbook counts it
        ("gpt-4o-2024-08-06", "お誕生日おめでとう", 8),
    ],
)
@pytest.mark.usefixtures("vocabularies")
async def test_a_vocabulary_that_is_here_counts_as_its_vendor_says(
    name: str, text: str, tokens: int
) -> None:
    count = await tokenizers.at_hand(Model(id=f"o/{name}", endpoint="o", vendor="openai"))
    assert count is not None
    assert count(text) == tokens
