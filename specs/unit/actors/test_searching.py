"""Where words are found, and what is shown round them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.searching import excerpt_of
from runtime import limits


def test_a_short_text_is_shown_whole_whatever_its_case() -> None:
    assert excerpt_of("The Quick fox", "quick") == "The Quick fox"
    assert excerpt_of("The slow fox", "quick") is None


def test_a_long_text_is_shown_round_the_words_and_marked_where_it_goes_on() -> None:
    text = "a" * 1000 + "needle" + "b" * 1000
    shown = excerpt_of(text, "needle")
    assert shown is not None
    assert (shown[0], shown[-1], "needle" in shown) == ("…", "…", True)
    assert len(shown) == limits.SEARCH_EXCERPT_CHARS + 2


@settings(max_examples=50)
@given(st.text(max_size=200), st.text(min_size=1, max_size=20), st.text(max_size=200))
def test_words_that_are_there_are_always_found_and_the_excerpt_is_bounded(
    before: str, words: str, after: str
) -> None:
    longer = before * 2 + words + after * 2
    shown = excerpt_of(longer, words.casefold())
    assert shown is not None
    assert len(shown) <= limits.SEARCH_EXCERPT_CHARS + 2
