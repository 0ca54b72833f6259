"""`runchat actions`: documents are looked at, taken and removed from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from specs.requirements import requirement
from specs.support.process import Served, runchat, shared

__all__ = ["shared"]
YAML = """
openapi: 3.0.3
info: {title: Cats, version: '1'}
servers: [{url: 'https://cats.example'}]
paths:
  /cats:
    get: {operationId: listCats}
    trace: {operationId: echo}
"""


@requirement("actions.command")
def test_a_document_is_looked_at_added_listed_and_removed(shared: Served, tmp_path: Path) -> None:
    document, key = tmp_path / "cats.yaml", tmp_path / "key"
    document.write_text(YAML)
    key.write_text("canary-0123\n")
    at = ("--data", shared.data)
    looked = runchat("actions", "look", document, *at)
    added = runchat("actions", "add", document, "--name", "cats", "--header", f"X-Key=@{key}", *at)
    listed = runchat("actions", "list", "--json", *at)
    removed = runchat("actions", "remove", "cats", *at)
    after = runchat("actions", *at)

    assert looked.stdout.splitlines() == [
        "listCats  GET  /cats",
        "echo  TRACE  /cats  left out: TRACE shows credentials to whoever asks.",
        "1 of 2 can be called, at https://cats.example",
    ]
    assert added.stdout == "cats  state=ready  server=https://cats.example  actions=1\n"
    assert json.loads(listed.stdout)["has_secrets"] == ["value"]
    assert "canary-0123" not in listed.stdout
    assert (removed.returncode, after.stdout) == (0, "")
