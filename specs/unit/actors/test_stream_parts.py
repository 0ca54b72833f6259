"""The pure parts of a stream: bodies to records, globs, producers, offsets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import producing
from actors.streams import body as stream_body
from actors.subscriptions import path_glob
from runtime import limits
from runtime.offsets import offset_of, sequence_of
from runtime.problems import BadJson, BadRequest, Problem, ProducerFenced, ProducerGap
from store.durable import Producer

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(JSON_VALUES), st.sampled_from([None, 1]), st.booleans())
def test_an_array_is_its_elements_as_they_were_written(
    values: list[object], indent: int | None, ascii: bool
) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=ascii).encode()
    texts = stream_body.values(body)
    assert [json.loads(text) for text in texts] == values
    for text in texts:
        assert text in body


@given(st.lists(JSON_VALUES, min_size=1), st.integers(1, 40))
def test_values_are_kept_together_as_many_as_make_a_record(
    values: list[object], size_bytes: int
) -> None:
    texts = [json.dumps(value).encode() for value in values]
    records = stream_body.together(texts, size_bytes)
    held = [stream_body.apart(record) for record in records]
    assert [text for each in held for text in each] == texts
    for record in [record for record, each in zip(records, held, strict=True) if each[1:]]:
        assert len(record) < size_bytes
    for full, (first, *_) in zip(records, held[1:], strict=False):
        assert len(full) + len(first) + 2 > size_bytes


def test_an_array_is_a_record_and_a_large_one_several() -> None:
    values = [f'{{"n":{number:04}}}'.replace(":0", ":1").encode() for number in range(5000)]
    records = stream_body.split("application/json", b"[" + b",".join(values) + b"]")
    assert b",".join(records) == b",".join(values)
    assert len(records) == 4
    assert max(map(len, records)) <= limits.STREAM_RECORD_BYTES


@pytest.mark.parametrize(
    "records",
    [
        ["{}"],
        ["{}", "{}", "{}"],
        ['{"n":1}', '{"n":2}'],
        ['{"a":"},{"}', '{"b":1}'],
        ['{"a":[{},{}]}'],
        ['{"a":[{},{}]}', '{"b":{"c":[{"d":1},{"e":2}]}}'],
        ['{"a":1}', '[{"b":1},{"c":2}]', '{"d":3}'],
        ['{"a":1,"a":2}', '{"b":1.0}'],
        ['{"a":"\\u00e9"}', '{"a":"é"}'],
    ],
)
@pytest.mark.parametrize("comma", [",", " ,", ", "])
def test_objects_are_cut_where_each_ends_whatever_they_hold(records: list[str], comma: str) -> None:
    body = "[" + comma.join(records) + "]"
    found = stream_body.values(body.encode())
    assert found == [record.encode() for record in records]


def test_a_value_that_is_no_array_is_one_record() -> None:
    assert stream_body.split("Application/JSON; charset=utf-8", b' {"a": [1, 2]}\n') == [
        b'{"a": [1, 2]}'
    ]
    assert stream_body.split("text/plain", b" [1, 2]\n") == [b" [1, 2]\n"]
    assert stream_body.split("text/plain", b"") == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[1", BadJson),
        (b"[1] 2", BadJson),
        (b"\xff", BadJson),
        (b"[" * 100_000, BadJson),
        (b"[" * 1000 + b"]" * 1000, BadRequest),
        (b"[" + b"1" * 5000 + b"]", BadJson),
    ],
)
def test_what_cannot_be_split_is_refused(body: bytes, problem: type[Problem]) -> None:
    with pytest.raises(problem):
        stream_body.split("application/json", body)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/*", "a", False),
        ("a/**", "a", True),
        ("a/**", "a/b/c", True),
        ("**/c", "a/b/c", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/d", False),
        ("job-*", "job-1", True),
        ("*-x-*", "a-x-b", True),
        ("*-x-*", "a-x", False),
        ("a*a", "a", False),
        ("ab*ba", "aba", False),
    ],
)
def test_a_glob_means_segments(pattern: str, path: str, matches: bool) -> None:
    assert path_glob.matches(pattern, path) is matches


def test_a_hostile_glob_costs_no_more_than_its_length() -> None:
    assert path_glob.matches("/".join(["**"] * 500 + ["x"]), "/".join("a" * 500)) is False
    assert path_glob.matches("a*" * 500 + "b", "a" * 1000) is False


def at(epoch: int, sequence: int) -> Producer:
    return Producer(id="p", epoch=epoch, sequence=sequence)


@pytest.mark.parametrize(
    ("asked", "known", "new"),
    [
        (at(0, 0), None, True),
        (at(7, 0), None, True),
        (at(0, 1), at(0, 0), True),
        (at(0, 0), at(0, 0), False),
        (at(0, 0), at(0, 5), False),
        (at(1, 0), at(0, 5), True),
    ],
)
def test_an_append_is_new_or_was_there(asked: Producer, known: Producer | None, new: bool) -> None:
    assert producing.is_new(asked, known) is new


@pytest.mark.parametrize(
    ("asked", "known", "problem"),
    [
        (at(0, 1), None, ProducerGap),
        (at(0, 2), at(0, 0), ProducerGap),
        (at(0, 0), at(1, 0), ProducerFenced),
        (at(2, 1), at(1, 0), BadRequest),
    ],
)
def test_an_append_that_must_not_be_says_why(
    asked: Producer, known: Producer | None, problem: type[Problem]
) -> None:
    with pytest.raises(problem):
        producing.is_new(asked, known)


@given(st.integers(0, 10**16 - 1), st.integers(0, 10**16 - 1))
def test_offsets_sort_as_their_sequences_and_are_read_back(one: int, two: int) -> None:
    assert (offset_of(one) < offset_of(two)) is (one < two)
    assert sequence_of(offset_of(one)) == one


@pytest.mark.parametrize("text", ["", "-1", "now", "1", offset_of(1)[1:], "1" + offset_of(1)[1:]])
def test_what_is_no_offset_has_no_sequence(text: str) -> None:
    assert sequence_of(text) is None
