"""The headers of a request are looked up as werkzeug looks them up."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequestKeyError

from transports.ingress.http.fields import Fields

PAIRS = [(b"host", b"localhost"), (b"x-two", b"1"), (b"x-two", b"2"), (b"x-name", b"\xe9t\xe9")]
FIELDS = Fields(PAIRS)
SLOW = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in PAIRS])


@pytest.mark.parametrize("name", ["Host", "HOST", "x-two", "X-Name", "Absent"])
def test_a_header_is_found_in_any_case_and_the_first_of_a_name_counts(name: str) -> None:
    assert FIELDS.get(name) == SLOW.get(name)
    assert FIELDS.get(name, "none") == SLOW.get(name, "none")
    assert FIELDS.get(name, type=int) == SLOW.get(name, type=int)
    assert FIELDS.getlist(name) == SLOW.getlist(name)
    assert (name in FIELDS) is (name in SLOW)


def test_what_is_missing_is_a_bad_request_where_it_is_needed() -> None:
    assert FIELDS["x-two"] == "1"
    with pytest.raises(BadRequestKeyError):
        FIELDS["Absent"]
