"""A network between a client and a service that breaks where a spec says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from specs.support.process import WAIT_S


class Cutting:
    """A way to a service that breaks after so many bytes, again and again."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._port, self._cuts = port, cuts
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_S)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._run(self._accept)

    @property
    def connections(self) -> int:
        return len(self._sockets) // 2

    def _run(self, function: Callable[..., None], *words: object) -> None:
        thread = threading.Thread(target=function, args=words)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port), timeout=WAIT_S)
                client.settimeout(WAIT_S)
                self._sockets += [client, server]
                self._run(self._pass, client, server, [])
                self._run(self._pass, server, client, self._cuts)

    def _pass(self, source: socket.socket, sink: socket.socket, cuts: list[int]) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(1024):
                passed += len(data)
                sink.sendall(data)
                if cuts and passed > cuts[0]:
                    cuts.pop(0)
                    break
        self._end(source, sink)

    def _end(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._end(self._listener, *self._sockets)
        for thread in self._threads:
            thread.join(timeout=WAIT_S)
        for each in (self._listener, *self._sockets):
            each.close()
