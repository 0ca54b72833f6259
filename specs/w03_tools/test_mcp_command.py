"""`runchat mcp`: servers are listed, added, tried and removed from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from actors.mcp import installing as mcp_installing
from specs.requirements import requirement
from specs.support.process import Served, runchat, shared

__all__ = ["shared"]
NEAR = "http://127.0.0.1:9/mcp"
HEADER = {"name": "X-Key", "isRequired": True, "isSecret": True, "description": "A key."}
REMOTE = {"type": "streamable-http", "url": "https://mcp.example/mcp", "headers": [HEADER]}
ABOUT = {"name": "com.example/far", "description": "Far.", "version": "1.0.0"}


@requirement("mcp.command")
def test_a_server_is_added_tried_listed_and_removed(shared: Served, tmp_path: Path) -> None:
    key, document = tmp_path / "key", tmp_path / "server.json"
    key.write_text("canary-0123\n")
    document.write_text(
        json.dumps({"$schema": mcp_installing.SCHEMA, **ABOUT, "remotes": [REMOTE]})
    )
    at = ("--data", shared.data)
    bare = runchat("mcp", "add", document, *at)
    far = runchat("mcp", "add", document, "--input", f"X-Key=@{key}", "--json", *at)
    runchat("mcp", "add", NEAR, "--name", "near", *at)
    tried = runchat("mcp", "test", "near", *at)
    removed = runchat("mcp", "remove", "far", *at)
    listed = runchat("mcp", *at)

    assert (bare.returncode, bare.stdout) == (1, "")
    assert bare.stderr == "runchat: /inputs/X-Key: This is needed. A key.\n"
    assert (far.returncode, json.loads(far.stdout)["headers"]) == (0, ["X-Key"])
    assert (tried.returncode, tried.stdout.split()[:2]) == (1, ["near", "state=failed"])
    assert tried.stderr == "runchat: near: The address of the endpoint is not allowed.\n"
    assert (removed.returncode, removed.stdout, removed.stderr) == (0, "", "")
    assert listed.stdout == tried.stdout
