"""Promises and specs are tied in both directions."""

from __future__ import annotations

import ast

import pytest

from specs.requirements import IDS, REQUIREMENTS, named, proved, requirement


def test_no_two_promises_share_an_id() -> None:
    assert len(IDS) == len(REQUIREMENTS)


def test_every_promise_has_a_spec(pytestconfig: pytest.Config) -> None:
    missing = IDS - proved() if pytestconfig.getini("requirements_strict") else []
    assert sorted(missing) == []


def test_every_spec_names_a_promise_that_exists() -> None:
    assert sorted(proved() - IDS) == []


def test_an_unknown_id_is_refused_at_import() -> None:
    with pytest.raises(LookupError, match=r"no-such\.promise"):
        requirement("no-such.promise")


def test_a_decorator_may_name_several_promises_and_a_word_in_a_text_names_none() -> None:
    tree = ast.parse(
        '@requirement("a.b", "c.d")\ndef test_x(): ...\n'
        '@other("e.f")\nclass Y:\n'
        '  @requirement("g.h")\n  async def test_z(self): "requirement(i)"\n'
    )
    assert sorted(named(tree)) == ["a.b", "c.d", "g.h"]
