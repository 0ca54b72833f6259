"""`nanoidp` on a free port of loopback, remembering what it was asked; run by its own Python.

Its own pages, tokens and endpoints. One line says where it is; it ends when stdin does. Beside the
protocol it answers `/asked`, and takes at `/lives` how long its next tokens live, in whole minutes,
and at `/forget` an access token that is to be void by itself.
Source: PyPI `nanoidp`.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from nanoidp.app import create_app  # type: ignore[import-not-found, unused-ignore]
from nanoidp.config import get_config  # type: ignore[import-not-found, unused-ignore]
from nanoidp.services import (  # type: ignore[import-not-found, unused-ignore]
    client_metadata_fetch,
)
from nanoidp.services.revocation import (  # type: ignore[import-not-found, unused-ignore]
    get_revocation_store,
)
from werkzeug.serving import make_server

OURS, SECRET = os.environ["RUNCHAT"], os.environ["SECRET"]
PERSON = json.loads(os.environ["PERSON"])
SCOPES = ["openid", "offline_access", "mcp:read", "mcp:write", "cats"]
MINUTE_S = 60
REMEMBERED = ("/.well-known/", "/authorize", "/token", "/register", "/revoke")


def settings(port: int) -> dict[str, Any]:
    """Return what `settings.yaml` says; JSON is YAML."""

    def client(name: str, *back: str) -> dict[str, Any]:
        return {"client_id": name, "client_secret": SECRET, "redirect_uris": list(back)}

    return {
        "config_version": 1,
        "server": {"host": "127.0.0.1", "port": port},
        "oauth": {
            "issuer": f"http://127.0.0.1:{port}",
            "audience": "nobody",
            "refresh_token_rotation": True,
            "require_pkce": True,
            "scopes_supported": SCOPES,
            "dynamic_registration": {"enabled": True},
            "client_id_metadata_documents": {
                "enabled": True,
                "allowed_hosts": [OURS.partition("://")[2]],
                "allow_loopback": True,
            },
            "clients": [
                client("runchat", f"{OURS}/api/mcp/callback"),
                client("actions", f"{OURS}/api/actions/callback"),
                client("service"),
                client("resource"),
            ],
        },
        "session": {"secret_key": SECRET, "enforce_password_check": True},
        "logging": {"level": "ERROR", "verbose_logging": False},
    }


class Remembering:
    """A WSGI middleware that remembers what was asked."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self._inner, self._asked = inner, list[dict[str, Any]]()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; see WSGI."""
        path, query = environ["PATH_INFO"], parse_qs(environ.get("QUERY_STRING", ""))
        if path == "/lives":
            get_config().settings.token_expiry_minutes = int(query["seconds"][0]) // MINUTE_S
        if path == "/forget":
            get_revocation_store().revoke(claims(query["token"][0])["jti"])
        if path in ("/asked", "/lives", "/forget"):
            start("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self._asked).encode()]
        if not path.startswith(REMEMBERED):
            return self._inner(environ, start)
        return self._remembered(environ, start, path)

    def _remembered(
        self, environ: dict[str, Any], start: Callable[..., Any], path: str
    ) -> Iterable[bytes]:
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        statuses: list[str] = []

        def heard(status: str, *more: Any) -> Any:
            statuses.append(status)
            return start(status, *more)

        body = b"".join(self._inner(environ, heard))
        form = dict(parse_qsl(f"{environ.get('QUERY_STRING', '')}&{sent.decode()}"))
        try:
            told = json.loads(body)
        except ValueError:
            told = {}
        self._asked.append(
            {
                "path": path,
                "posted": environ["REQUEST_METHOD"] == "POST",
                "grant": form.get("grant_type", ""),
                "client": told.get("client_id") or form.get("client_id") or who(environ),
                "secret": told.get("client_secret", ""),
                "resource": form.get("resource", ""),
                "scope": form.get("scope", ""),
                "method": form.get("code_challenge_method", ""),
                "verifier": "code_verifier" in form,
                "proof": False,
                "status": int(statuses[-1][:3]),
                "error": told.get("error", ""),
                "tokens": {
                    "access": told.get("access_token", ""),
                    "refresh": told.get("refresh_token", ""),
                },
            }
        )
        return [body]


def claims(token: str) -> dict[str, Any]:
    """Return what a JWT of its own says."""
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def who(environ: dict[str, Any]) -> str:
    """Return which client's secret is in the header; "" for none."""
    kind, _, shown = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return base64.b64decode(shown).decode().partition(":")[0] if kind == "Basic" else ""


def main() -> None:
    """Serve until stdin ends."""
    with socket.create_server(("127.0.0.1", 0)) as bound, tempfile.TemporaryDirectory() as folder:
        port = bound.getsockname()[1]
        users = {PERSON["text"]: {"password": PERSON["password"], "roles": ["USER"]}}
        told = {"settings": settings(port), "users": {"config_version": 1, "users": users}}
        told["settings"]["jwt"] = {"keys_dir": f"{folder}/keys"}
        for name, each in told.items():
            (Path(folder) / f"{name}.yaml").write_text(json.dumps(each), encoding="utf-8")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        # 3.4.0 closes the connection before it has read an answer that says `Connection: close`,
        # which it asked for; it is closed with the process
        client_metadata_fetch._DeadlineSocket.close = lambda _: None  # noqa: SLF001
        app = create_app(folder)
        app.wsgi_app = Remembering(app.wsgi_app)
        server = make_server("127.0.0.1", port, app, threaded=True, fd=bound.fileno())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"ready": True, "url": f"http://127.0.0.1:{port}"}), flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
