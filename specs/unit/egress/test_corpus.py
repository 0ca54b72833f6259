"""Every case of the corpus is decided right, by the client that connects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from specs.unit.egress import corpus_of_urls as urls
from specs.unit.egress.corpus_of_worlds import BAD_LINES, ROWS
from transports.egress import places, rehearsal
from transports.egress.denial import Denied


def urls_of(rule: str) -> list[str]:
    """Return the URLs that a rule refuses, or that are `public`."""
    if rule == "url":
        return list(urls.WITH_BLANKS)
    words = urls.ALLOWED if rule == "public" else urls.REFUSED[rule]
    return [word if rule == "scheme" else urls.url_of(word) for word in words.split()]


RULES = [*urls.REFUSED, "url", "public"]


def where_all_names_are_public(url: str) -> dict[str, Any]:
    try:
        host = places.read(url).host
    except Denied:
        host = "example.com"
    return {"url": url, "dns": {host: [urls.PUBLIC]}}


def rule_of(verdict: dict[str, Any]) -> str:
    """Return the rule that a verdict names."""
    return str(verdict["reason"].partition(":")[0])


@pytest.mark.parametrize("rule", RULES)
async def test_a_url_is_judged_by_its_text(rule: str) -> None:
    found = []
    for url in urls_of(rule):
        verdict = await rehearsal.rehearse(json.dumps(where_all_names_are_public(url)))
        found.append((url, rule_of(verdict), verdict["decision"], verdict["dial"] is None))
    decision = "allow" if rule == "public" else "block"
    assert found == [(url, rule, decision, rule != "public") for url in urls_of(rule)]


@pytest.mark.parametrize("kind", ROWS)
async def test_a_case_is_judged_by_its_world(kind: str) -> None:
    found = []
    for about, case, _ in ROWS[kind]:
        verdict = await rehearsal.rehearse(json.dumps({"id": about, "ignored": True} | case))
        is_block = verdict["dial"] is None
        assert verdict["decision"] == ("block" if is_block else "allow"), about
        found.append((verdict["id"], rule_of(verdict) if is_block else verdict["dial"]))
    assert found == [(about, answer) for about, _, answer in ROWS[kind]]


@pytest.mark.parametrize("line", BAD_LINES)
async def test_a_line_that_makes_no_sense_is_blocked_with_a_reason(line: str) -> None:
    verdict = await rehearsal.rehearse(line)
    assert (verdict["decision"], verdict["dial"]) == ("block", None)
    assert rule_of(verdict) == "case"


def test_the_corpus_is_large_and_no_case_stands_in_it_twice() -> None:
    texts = [url for rule in RULES for url in urls_of(rule)]
    texts += [json.dumps(case) for rows in ROWS.values() for _, case, _ in rows]
    assert len(set(texts)) == len(texts)
    assert len(texts) > 800
