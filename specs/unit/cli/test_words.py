"""What is typed on the command line, read or refused with a reason."""

from __future__ import annotations

import pytest

from transports.ingress.cli.client import refusal
from transports.ingress.cli.endings import CommandFailed, Exit, Lost, Said, leaf
from transports.ingress.cli.finding import reachable
from transports.ingress.cli.main import function, parser
from transports.ingress.cli.tokens import duration_s, name

COMMANDS = [
    ["serve"],
    ["chat"],
    ["jobs"],
    ["tail", "j"],
    ["abort", "j"],
    ["models"],
    ["endpoints"],
    ["link"],
    ["token", "create", "--tenant", "t", "--user", "u"],
    ["token", "list"],
    ["token", "revoke", "t"],
    ["backup", "f"],
    ["restore", "f", "--data", "d"],
    ["replay", "f"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_its_function(words: list[str]) -> None:
    named = parser().parse_args(words).run
    assert function(named).__name__ == named.partition(":")[2]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("45m", 2700), ("12h", 43_200), ("30d", 2_592_000), ("8w", 4_838_400)],
)
def test_a_time_is_read(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "0d", "-1d", "1.5h", "1y", "99999999w", "1d "])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="--expires must be a time such as") as refused:
        duration_s(text)
    assert refused.value.status == Exit.USAGE


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a\n", "x" * 129, "a;b"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="--user must be a word"):
        name(text, "--user")
    assert name("Ann-Marie.O_1@home", "--user") == "Ann-Marie.O_1@home"


def test_a_problem_is_told_in_its_own_words() -> None:
    said = refusal(409, b'{"type":"urn:runchat:problem:job-ended","detail":"It has ended."}')
    assert (type(said), str(said)) == (Said, "It has ended.")
    assert isinstance(said, Said)
    assert said.name == "job-ended"


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'"text"', b"\xff"])
def test_an_answer_that_is_no_problem_is_told_by_its_status(content: bytes) -> None:
    said = refusal(502, content)
    assert (type(said), str(said)) == (Said, "the service answered with status 502")


def test_a_service_that_is_busy_may_be_asked_again() -> None:
    assert type(refusal(503, b'{"detail":"The service is stopping."}')) is Lost


def test_the_one_error_in_nested_groups_is_found() -> None:
    error, other = ValueError("it"), OSError()
    assert leaf(BaseExceptionGroup("", [ExceptionGroup("", [error])])) is error
    several = ExceptionGroup("", [error, other])
    assert leaf(several) is several


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("https://[::]:80", "https://[::1]:80"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
    ],
)
def test_a_service_bound_to_every_address_is_reached_here(url: str, here: str) -> None:
    assert reachable(url) == here
