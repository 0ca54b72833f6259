"""Recorded streams as an upstream plays them: the model's name picks one, and how it is sent.

`ID` is a stream of the folder's index as it was recorded; `ID@split=3,crlf=1` the same in writes of
three bytes with CR LF; `ID@cut=0.6,rst=1` its first six tenths and then a reset. So any client can
be shown any stream by its base URL and a model's name alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson

from harness.upstream.program import Upstream
from harness.upstream.script import Script

WAYS: Final = ("split", "crlf", "cut", "events", "rst", "stall", "delay")


class Recordings(Upstream):
    """An upstream that plays the streams of a folder besides its scripts."""

    def __init__(self, folder: Path) -> None:
        """Read the folder's index.

        Raises:
            FileNotFoundError: it has none.
        """
        super().__init__()
        rows = orjson.loads((folder / "index.json").read_bytes())
        self._files = {row["id"]: folder / row["file"] for row in rows}

    def find(self, model: str) -> Script | None:
        """Return the script of a model, or the stream that it names."""
        name, _, ways = model.partition("@")
        if (scripted := super().find(model)) is not None or name not in self._files:
            return scripted
        raw = self._files[name].read_bytes()
        asked = dict(way.split("=", 1) for way in ways.split(",") if "=" in way)
        if asked.keys() - set(WAYS):
            return None
        return Script(raw=raw.decode("utf-8", "surrogateescape"), **_how(asked, len(raw)))


def _how(asked: dict[str, str], size_bytes: int) -> dict[str, Any]:
    """Return what of a script the words behind the name say."""
    how: dict[str, Any] = {"delay_s": float(asked.get("delay", 0))}
    if "split" in asked:
        how["split_bytes"] = int(asked["split"])
    if "crlf" in asked:
        how["line_end"] = "\r\n"
    if "events" in asked:
        how["cut_events"] = int(asked["events"])
    if "cut" in asked:
        how["cut_bytes"] = int(float(asked["cut"]) * size_bytes)
    then = [word for name, word in (("rst", "reset"), ("stall", "stall")) if name in asked]
    return how | ({"then": then[0]} if then else {})
