"""What is known of vendors' models: windows, limits, abilities, kinds of input, last days.

One reviewed file beside this module says it, each field with the source that said it; prices are
another module's. What nobody said is None, never 0. A vendor is known by the host of an endpoint,
or because the settings name it; a model by its name, or its name without its snapshot's date.
Source: `models.json`, made by `harness/model_facts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

FILE = Path(__file__).with_name("models.json")
HOSTS: Mapping[str, str] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "api.mistral.ai": "mistral",
    "api.x.ai": "x-ai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.cerebras.ai": "cerebras",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshotai",
    "api.z.ai": "zai",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
}
SNAPSHOT = re.compile(r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|latest|\d{3}))$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one model; None: nobody said.

    Args:
        context: tokens of prompt and answer together.
        input_limit: tokens of a prompt.
        output_limit: tokens of an answer.
        efforts: levels of reasoning that can be asked for.
        ends_on: the day from which it is no longer served, `YYYY-MM-DD`.
        sources: field to who said it, as `name version (date)`.
    """

    context: int | None = None
    input_limit: int | None = None
    output_limit: int | None = None
    abilities: tuple[str, ...] | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    efforts: tuple[str, ...] | None = None
    ends_on: str | None = None
    sources: Mapping[str, str]


NOTHING = Facts(sources={})


def vendor_of(base_url: str) -> str | None:
    """Return the vendor behind an endpoint's address, None where the host is nobody's we know."""
    return HOSTS.get(urlsplit(base_url).hostname or "")


def find(vendor: str | None, model: str) -> Facts:
    """Return what is known of a vendor's model."""
    if vendor is None:
        return NOTHING  # and the file is not read
    models = _file()["models"].get(vendor, {})
    entry = models.get(model) or models.get(SNAPSHOT.sub("", model))
    if entry is None:
        return NOTHING
    names = [f"{each['name']} {each['version']} ({each['date']})" for each in _file()["sources"]]
    values: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list) else value
        for field, (value, _) in entry.items()
    }
    return Facts(**values, sources={field: names[source] for field, (_, source) in entry.items()})


@cache
def _file() -> Mapping[str, Any]:
    document: Mapping[str, Any] = orjson.loads(FILE.read_bytes())
    return document
