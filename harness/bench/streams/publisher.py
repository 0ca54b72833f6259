"""Appends to one stream at an even pace, each event with the time at which it was sent.

A process of its own, so that neither the reading nor the sending waits for the other; both read
the one monotonic clock of the machine. `publisher PORT TOKEN PATH COUNT INTERVAL_MS BEGINS_NS`.
"""

from __future__ import annotations

import json
import sys
import time

from harness.bench.streams.protocol import event
from harness.bench.wire import Http, Target

NS_IN_S, NS_IN_MS = 1e9, 1_000_000


def main(argv: list[str]) -> None:
    """Say that all is ready, append, and say how much."""
    port, token, path, count, interval_ms, begins_ns = argv
    target = Target(int(port), token)
    with Http(target) as http:
        print(json.dumps({"ready": True}), flush=True)
        for number in range(int(count)):
            due_ns = int(begins_ns) + number * int(interval_ms) * NS_IN_MS
            time.sleep(max(0, due_ns - time.monotonic_ns()) / NS_IN_S)
            body = event(number, str(time.monotonic_ns()))
            http.ask(target.request("POST", path, body=body))
    print(json.dumps({"sent": int(count)}), flush=True)
    sys.stdin.read()  # until it is told to end


if __name__ == "__main__":
    main(sys.argv[1:])
