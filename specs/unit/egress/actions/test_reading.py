"""A document is read as JSON or YAML, within bounds that a hostile one meets early."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import limits
from specs.requirements import requirement
from transports.egress.actions.reading import Unusable, read

TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=20)  # both take these
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def refused(text: bytes) -> str:
    with pytest.raises(Unusable) as caught:
        read(text)
    return caught.value.rule


@given(VALUES)
def test_json_read_as_yaml_is_the_same(value: object) -> None:
    text = orjson.dumps({"value": value})
    assert read(b"--- # so that it is no JSON\n" + text) == read(text)


def test_yaml_means_what_json_would() -> None:
    text = b"""
      no: off            # no truth value
      date: 2024-01-01   # no date
      code: 0123         # no number
      octal: 0o17
      200: {ok: true, none: , tilde: ~}
      number: [1, -2.5, 1e3, "1", .5]
      text: |
        two
        lines
      tagged: !!str 12
      strange: !python/object:os.system [ls]
    """
    assert read(text) == {
        "no": "off",
        "date": "2024-01-01",
        "code": "0123",
        "octal": "0o17",
        "200": {"ok": True, "none": None, "tilde": None},
        "number": [1, -2.5, 1000.0, "1", ".5"],
        "text": "two\nlines\n",
        "tagged": "12",
        "strange": ["ls"],
    }


def test_an_alias_is_what_its_anchor_was_and_a_merge_gives_way() -> None:
    text = b"base: &b {a: 1, b: 2}\nalias: *b\nmerged: {<<: *b, b: 3}"
    assert read(text) == {"base": {"a": 1, "b": 2}, "alias": {"a": 1, "b": 2}} | {
        "merged": {"a": 1, "b": 3}
    }


@requirement("actions.bombs")
def test_a_bomb_of_aliases_is_met_before_it_is_written_out() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert refused("\n".join(lines).encode()) == "too-many-nodes"


@requirement("actions.bombs")
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"openapi: &a [*a]", "anchors"),
        (b"a: *nobody", "anchors"),
        (b"[" * 5000, "too-deep"),
        (b"a: " + b"[" * 200 + b"]" * 200, "too-deep"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too-deep"),
        (b"<!DOCTYPE html><html></html>", "html"),
        (b"\xef\xbb\xbf <html>", "html"),
        (b"", "no-object"),
        (b"just words", "no-object"),
        (b"[1, 2]", "no-object"),
        (b"a: [1", "yaml"),
        (b"\xff\xfe\x00", "yaml"),
        (b"\x00\x01\x02", "yaml"),
        (b"? [a, b]\n: 1", "key"),
    ],
)
def test_what_is_no_document_is_refused_by_name(text: bytes, rule: str) -> None:
    assert refused(text) == rule


def test_more_anchors_than_anybody_needs_are_refused() -> None:
    many = limits.ACTION_ANCHORS_MAX + 1
    assert refused(b"a:\n" + b"".join(b"- &a%d 1\n" % each for each in range(many))) == "anchors"
    assert refused(b"a: &a 1\nb:\n" + b"- *a\n" * many) == "anchors"


@requirement("actions.bounds")
def test_yaml_and_json_have_their_own_bounds() -> None:
    most = limits.ACTION_YAML_BYTES
    assert refused(b"a: " + b"x" * most) == "yaml-too-large"
    assert refused(b" " * (limits.ACTION_JSON_BYTES + 1)) == "too-large"
    padded = b'{"openapi": "3.1.0"' + b" " * most + b"}"
    assert read(padded) == {"openapi": "3.1.0"}
    assert refused(padded[:-1] + b"]") == "json"
