"""What the libraries alone take: `python -m harness.bench.gateway.bare UPSTREAM`.

Quart on Hypercorn takes a question, httpx2 passes it on, and what comes back is the answer: the
libraries that we stand on, as they come, with nothing read, kept, audited or promised. It bounds
what a gateway of these libraries can reach on the machine that measures.
"""

from __future__ import annotations

import json
import socket
import sys

import httpx2
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

from harness.bench.wire import HOST, JSON

CONNECTIONS = 64


def relay(client: httpx2.AsyncClient, upstream: str) -> QuartTrio:
    """Return the app that passes each question on."""
    app = QuartTrio("bare")

    async def completions() -> Response:
        answer = await client.post(f"{upstream}/v1/chat/completions", json=await request.get_json())
        return Response(answer.content, answer.status_code, content_type=JSON)

    app.add_url_rule("/v1/chat/completions", view_func=completions, methods=["POST"])
    return app


async def main(upstream: str) -> None:
    """Serve until killed; say where."""
    config = Config()
    config.accesslog = None
    kept = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    with socket.create_server((HOST, 0)) as listener:
        config.bind = [f"fd://{listener.fileno()}"]
        async with httpx2.AsyncClient(limits=kept) as client:
            print(json.dumps({"url": f"http://{HOST}:{listener.getsockname()[1]}"}), flush=True)
            await serve(relay(client, upstream), config)


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
