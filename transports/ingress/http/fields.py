"""The headers of a request, looked up by name at once.

werkzeug searches a list and makes an exception of each name that is missing, and a request is asked
for a dozen that it does not have. Nobody changes what a client has sent, so that a table is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequestKeyError


class Fields(Headers):
    """Headers that are read and never changed; of a name that came twice the first one counts."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the headers as ASGI has them: names in lower case, all of it in Latin-1."""
        self._list = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
        self._first = dict(reversed(self._list))

    def _get_key(self, key: str) -> str:
        try:
            return self._first[key.lower()]
        except KeyError:
            raise BadRequestKeyError(key) from None

    def get(  # type: ignore[override]  # its overloads in one
        self, key: str, default: Any = None, type: Any = None
    ) -> Any:
        """Return the value of a header, or what `type` makes of it; the default without one."""
        value = self._first.get(key.lower())
        if value is None or type is None:
            return default if value is None else value
        return super().get(key, default, type)
