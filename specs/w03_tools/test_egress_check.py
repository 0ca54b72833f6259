"""`runchat egress check`: an admin asks where the service may connect to, and why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from specs.requirements import requirement
from specs.support.process import environment, runchat
from specs.unit.egress.corpus_of_worlds import BAD_LINES, ROWS


@requirement("egress.check-json")
def test_each_line_is_answered_in_its_turn_and_none_stops_the_rest() -> None:
    cases = [case | {"id": about} for rows in ROWS.values() for about, case, _ in rows]
    lines = [json.dumps(case) for case in cases]
    told = runchat("egress", "check", "--json", input="\n".join([*BAD_LINES[1:4], *lines, ""]))
    found = [json.loads(line) for line in told.stdout.splitlines()]
    expected = [(about, want) for rows in ROWS.values() for about, _, want in rows]
    got = [(each["id"], each["dial"] or each["reason"].partition(":")[0]) for each in found]
    assert got == [(None, "case")] * 3 + expected
    assert [sorted(each) for each in found] == [["decision", "dial", "id", "reason"]] * len(found)
    assert (told.returncode, told.stderr) == (0, "")


@requirement("egress.check-plain")
@pytest.mark.parametrize(
    ("url", "verdict", "reason"),
    [
        ("http://8.8.8.8/", "allow", "would connect to 8.8.8.8 (public)"),
        ("http://134744072/", "block", "spelling: It spells no address in the one usual way."),
        (
            "http://127.0.0.1/",
            "block",
            "loopback: 127.0.0.1 is in 127.0.0.0/8: loopback, RFC 1122.",
        ),
    ],
)
def test_a_url_is_explained_to_a_person(url: str, verdict: str, reason: str) -> None:
    status, words = ("allow", "block").index(verdict), f"{verdict}  {url}\n       {reason}\n"
    as_argument = runchat("egress", "check", url)
    as_line = runchat("egress", "check", input=f"{url}\n")
    assert (as_argument.returncode, as_argument.stdout) == (status, words)
    assert (as_line.returncode, as_line.stdout) == (status, words)


@requirement("egress.check-plain")
def test_what_the_settings_exempt_is_exempt_for_that_purpose_alone(tmp_path: Path) -> None:
    config = tmp_path / "runchat.toml"
    config.write_text(
        "[endpoints.ollama]\n"
        'base_url = "http://127.0.0.1:11434/v1"\n'
        'models = ["m"]\n'
        "allow_loopback = true\n"
    )
    url = "http://127.0.0.1:11434/v1"
    asked = ("egress", "check", "--config", config, url)
    clean = {name: value for name, value in environment().items() if "RUNCHAT" not in name}
    ours = runchat(*asked, "--purpose", "provider", env=clean)
    others = runchat(*asked, "--purpose", "mcp", env=clean)
    assert (ours.returncode, others.returncode) == (0, 1)
    assert "would connect to 127.0.0.1 (exempt)" in ours.stdout
