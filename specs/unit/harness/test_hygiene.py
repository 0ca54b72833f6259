"""Each rule of hygiene catches its planted violations and leaves its near misses alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import hygiene, hygiene_browser

SPECS = Path(__file__).parents[2]

PLANTED = {
    "sleep": [
        "time.sleep(0.1)",
        "await trio.sleep(1)",
        "await anyio.sleep(seconds)",
        "sleep(2)",
        "await trio.sleep_until(9)",
    ],
    "wall_clock": [
        "started = time.monotonic()",
        "now = datetime.now(UTC)",
        "now = datetime.datetime.now()",
        "day = datetime.date.today()",
        "clock = time.time",
        "from time import perf_counter",
    ],
    "mock": [
        "import unittest.mock",
        "import mock",
        "from unittest import mock",
        "from unittest.mock import MagicMock, patch",
        "def test_x(mocker): assert 1 == 1",
        "monkeypatch.setattr(store, 'write', lambda: 1)",
        "monkeypatch.setitem(TABLE, 'a', 1)",
    ],
    "truthiness": [
        "assert response",
        "assert not response",
        "assert response.json()",
        "assert len(events)",
        "assert answer.text and answer.status == 200",
        "assert found[0]",
        "assert True",
        "assert await ref.ask(1)",
        "def test_x():\n  assert find('a') is not None",
    ],
    "ored_outcome": [
        "assert status == 200 or status == 201",
        "assert not (a == 1 or b == 2)",
        "assert ready and (a == 1 or b == 2)",
        "assert response.status_code in (200, 201)",
        "assert job['status'] in {'completed', 'failed'}",
        "assert kind in ['a', None]",
        "assert response.status_code < 500",
        "assert 200 <= status < 300",
        "with pytest.raises((ValueError, KeyError)): f()",
    ],
    "no_assertion": [
        "def test_x(): run()",
        "async def test_x():\n  with trio.fail_after(1):\n    await run()",
        "def test_x(): look()\ndef look(): return 1",
        "class TestX:\n  def test_x(self): self.run()",
    ],
    "bare_skip": [
        "pytest.skip()",
        "pytest.skip('later')",
        "@pytest.mark.skip\ndef test_x(): assert f() == 1",
        "@pytest.mark.skipif(slow, reason='slow')\ndef test_x(): assert f() == 1",
        "@pytest.mark.skipif(sys.platform == 'node')\ndef test_x(): assert f() == 1",
        "REASON = 'flaky'\nskips = pytest.mark.skipif(1, reason=REASON)",
        "@pytest.mark.xfail(reason='no chromium')\ndef test_x(): assert f() == 1",
        "np = pytest.importorskip('numpy')",
    ],
    "unbounded_wait": [
        "subprocess.run(['true'])",
        "subprocess.check_output(['true'], timeout=None)",
        "process.wait()",
        "process.communicate(input=b'')",
        "thread.join()",
        "answer = future.get()",
        "answer = future.result()",
        "async def f():\n  event.wait()",
        "socket.create_connection(address)",
        "def f():\n  s = socket.socket()\n  s.connect(a)",
        "urllib.request.urlopen(url)",
    ],
    "selector": [
        "page.locator('#send')",
        "page.get_by_text('Send')",
        "page.get_by_test_id('send')",
        "page.click('#send')",
        "page.fill('#box', 'hello')",
        "text = page.inner_text('main')",
        "page.evaluate('document.querySelector(\"p\").textContent')",
    ],
    "loose_expectation": [
        "expect(log).to_contain_text('hello')",
        "page.wait_for_timeout(100)",
        "page.get_by_role('button', name='Stop')",
        "page.get_by_label('Message')",
    ],
}

NEAR_MISSES = {
    "sleep": [
        "await trio.sleep(0)",
        "await trio.sleep_forever()",
        "async def test_x(autojump_clock):\n  await trio.sleep(30)\n  assert f() == 1",
        "text = 'time.sleep(1)'",
        "actor.asleep(3)",
    ],
    "wall_clock": [
        "now = clock.now_ms()",
        "then = datetime(2024, 1, 1, tzinfo=UTC)",
        "at = datetime.datetime.fromisoformat(text)",
        "began = trio.current_time()",
        "from datetime import datetime",
        "record.time.second",
    ],
    "mock": [
        "from trio.testing import MockClock",
        "monkeypatch.setenv('RUNCHAT_TOKEN', 'x')",
        "monkeypatch.chdir(tmp_path)",
        "setattr(self, 'a', 1)",
        "name = 'unittest.mock'",
    ],
    "truthiness": [
        "assert response.status_code == 200",
        "assert isinstance(event, Event)",
        "assert all(a < b for a, b in pairs)",
        "assert text.startswith('data: ')",
        "assert path.exists()",
        "assert event.is_set()",
        "assert 'id' in job",
        "assert job is not None\nassert job.id == 'job_1'",
        "def test_x():\n  assert find('a') is not None\n  assert find('a').id == 1",
        "def test_x():\n  with pytest.raises(KeyError):\n    assert find('a') is not None",
    ],
    "ored_outcome": [
        "assert (a or b) == 3",
        "assert text == (given or 'nothing')",
        "assert a == 1 and b == 2",
        "assert job.id in (first.id, second.id)",
        "assert 3 in (1, 2, 3)",
        "assert kind not in ('a', 'b')",
        "assert 200 <= size < 300",
        "assert elapsed < 0.25",
        "@pytest.mark.parametrize('status', (200, 201))\ndef test_x(status): assert f(status) == 1",
        "for status in (200, 201): assert f(status) == 1",
        "with pytest.raises(ValueError): f()",
    ],
    "no_assertion": [
        "def test_x(): assert f() == 1",
        "def test_x():\n  with pytest.raises(KeyError): f()",
        "def test_x(page): expect(page).to_have_title('Runchat')",
        "def test_x(): look()\ndef look(): check()\ndef check(): assert f() == 1",
        "def test_x(): assert_same(fold(log), got)",
        "def tested(): run()",
    ],
    "bare_skip": [
        "pytest.skip('Chromium is not installed')",
        "skips = pytest.mark.skipif(NODE is None, reason='node is not installed')",
        "REASON = 'no chromium'\nskips = pytest.mark.skipif(1, reason=REASON)",
        "jobs.skip()",
    ],
    "unbounded_wait": [
        "subprocess.run(['true'], timeout=5)",
        "process.wait(timeout=BOUND_S)",
        "process.wait(5)",
        "text = ', '.join(words)",
        "value = table.get('a')",
        "async def f():\n  await event.wait()\n  await process.wait()",
        "nursery.start_soon(event.wait)",
        "socket.create_connection(address, 5)",
        "socket.create_connection(address, timeout=5)",
        "def f():\n  s = socket.socket()\n  s.settimeout(5)\n  s.connect(a)",
        "urllib.request.urlopen(url, timeout=5)",
    ],
    "selector": [
        "page.get_by_role('button').click()",
        "page.get_by_label('Message', exact=True).fill('hello')",
        "box.press('Enter')",
        "page.evaluate('window.runchat.lastEventId')",
    ],
    "loose_expectation": [
        "expect(log).to_have_text('hello')",
        "page.get_by_role('log')",
        "page.get_by_role('button', name='Stop', exact=True)",
    ],
}


def rules_broken(text: str) -> set[str]:
    return {rule for rule, _, _ in hygiene.broken(text, in_browser=True)}


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in PLANTED.items() for text in texts]
)
def test_a_planted_violation_is_caught(rule: str, text: str) -> None:
    assert rule in rules_broken(text)


@pytest.mark.parametrize(
    ("rule", "text"), [(rule, text) for rule, texts in NEAR_MISSES.items() for text in texts]
)
def test_a_near_miss_is_left_alone(rule: str, text: str) -> None:
    assert rule not in rules_broken(text)


def test_every_rule_has_planted_violations_and_near_misses() -> None:
    rules = {rule.__name__ for rule in (*hygiene.RULES, *hygiene_browser.RULES)}
    assert (set(PLANTED), set(NEAR_MISSES)) == (rules, rules)


def test_the_rules_of_the_browser_hold_there_alone() -> None:
    broken = list(hygiene.broken("page.locator('#send')", in_browser=False))
    assert broken == []


def test_a_finding_names_the_file_the_line_and_the_reason(tmp_path: Path) -> None:
    spec = tmp_path / "browser" / "test_x.py"
    spec.parent.mkdir()
    spec.write_text("\npage.get_by_text('a')\n", encoding="utf-8")
    words = "find it as a person does: get_by_role or get_by_label"
    assert hygiene.findings(tmp_path) == [
        hygiene.Finding(path=spec, line=2, rule="selector", words=words)
    ]


def test_our_own_specs_break_no_rule() -> None:
    found = [
        f"{finding.path.relative_to(SPECS)}:{finding.line} {finding.rule}: {finding.words}"
        for finding in hygiene.findings(SPECS)
    ]
    assert found == []
