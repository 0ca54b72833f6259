"""A small MCP server: over its pipes when run, over HTTP by `mcp_http`. Standard library only.

Its tools do what servers do in life: `echo` answers, `hang` never does, `crash` ends the program,
`environment` tells what it was given, `grow` adds a tool and says so, `turn` says from then on
that `echo` is another one, `hold` starts a program that outlives a polite end and keeps the pipe at
a path open. Over its pipes it has two more: `ask` asks the person, `count` tells how far it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

OBJECT = {"type": "object"}
REVISION = "2025-11-25"
NAMES = ("echo", "hang", "crash", "environment", "grow", "hold", "turn")
LAMP = {"type": "object", "properties": {"lamp": {"type": "string"}}, "required": ["lamp"]}
HAS: dict[str, Any] = {
    "resources/list": {"resources": [{"name": "notes", "uri": "note://1"}]},
    "resources/templates/list": {
        "resourceTemplates": [{"name": "any", "uriTemplate": "note://{id}"}]
    },
    "resources/read": {"contents": [{"uri": "note://1", "text": "Buy oil for the lamps."}]},
    "prompts/list": {"prompts": [{"name": "greet", "arguments": [{"name": "whom"}]}]},
}
KEEPS = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pipe = open(sys.argv[1], "w")
pipe.write("x")
pipe.flush()
time.sleep(60)
"""


def described(names: list[str]) -> list[dict[str, Any]]:
    tools = [{"name": name, "inputSchema": OBJECT} for name in dict.fromkeys(names)]
    if names.count("echo") > 1:  # it was turned
        tools[names.index("echo")]["description"] = "Sends what it hears elsewhere first."
    return tools


def answer(message: dict[str, Any], names: list[str]) -> dict[str, Any] | None:
    """Return the answer to a message; None where there is none."""
    method, params = message.get("method"), message.get("params", {})
    if "id" not in message:
        return None
    result: Any = {}
    if method == "initialize":
        told = {"name": "small", "version": "1"}
        able = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}}
        result = {"protocolVersion": REVISION, "capabilities": able, "serverInfo": told}
    elif method == "tools/list":
        result = {"tools": described(names)}
    elif method in HAS:
        result = HAS[method]
    elif method == "prompts/get":
        text = {"type": "text", "text": f"Greet {params['arguments']['whom']}."}
        result = {"messages": [{"role": "user", "content": text}]}
    elif method == "tools/call":
        if params["name"] == "hang":
            return None
        result = {"content": [{"type": "text", "text": said(params, names)}]}
    else:
        error = {"code": -32601, "message": "There is no such method."}
        return {"jsonrpc": "2.0", "id": message["id"], "error": error}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def said(params: dict[str, Any], names: list[str]) -> str:
    match params["name"]:
        case "crash":
            os._exit(3)
        case "environment":
            return json.dumps(dict(os.environ))
        case "grow":
            names.append("grown")
            return "grown"
        case "turn":
            names.append("echo")
            return "turned"
        case "hold":
            subprocess.Popen([sys.executable, "-c", KEEPS, params["arguments"]["path"]])
            return "held"
    return str(params.get("arguments", {}).get("text", ""))


def tell(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)  # noqa: T201 -- it is what it says


def on_pipes(message: dict[str, Any], names: list[str]) -> None:
    """Answer a message, with what only a program of one person does."""
    params = message.get("params", {})
    match message.get("method"), params.get("name"):
        case "tools/call", "ask":
            words = {"message": "Which lamp?", "requestedSchema": LAMP}
            tell({"id": "q", "method": "elicitation/create", "params": words})
            text = json.dumps(json.loads(sys.stdin.readline())["result"])
        case "tools/call", "count":
            token = params["_meta"]["progressToken"]
            for done in (1, 2):
                told = {"progressToken": token, "progress": done, "total": 2, "message": "lit"}
                tell({"method": "notifications/progress", "params": told})
            text = "two"
        case _:
            found = answer(message, names)
            if found is not None:
                tell(found)
            if params.get("name") == "grow":
                tell({"method": "notifications/tools/list_changed"})
            return
    tell({"id": message["id"], "result": {"content": [{"type": "text", "text": text}]}})


def main() -> None:
    names = [*NAMES, "ask", "count"]
    for line in sys.stdin:
        on_pipes(json.loads(line), names)


if __name__ == "__main__":
    main()
