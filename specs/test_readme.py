"""The README is true: its table of settings is the one that the settings make."""

from __future__ import annotations

from pathlib import Path

from runtime.settings import settings_table
from specs.requirements import requirement

README = Path(__file__).parent.parent / "README.md"


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0].partition("-->")[2]


@requirement("settings.table")
def test_the_table_of_settings_is_the_one_the_settings_make() -> None:
    text = README.read_text(encoding="utf-8")

    assert between(text, "<!-- settings:", "<!-- end").strip() == settings_table().strip()
