"""The repository keeps its own shape. Each rule says why in its message."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("runtime", "store", "harness", "actors", "transports", "specs")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70  # a function fits on a screen
NO_SECOND_WORD = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "impl"}
# A folder of one machine, or a registry by its host's name; written so as not to find themselves.
MACHINE = re.compile(
    r"""["'\s(]/(?:work|tmp|root|home|farm)/[.\w]|python[h]osted|p[y]pi\.org|npm[j]s"""
)
GIT_TIMEOUT_S = 20


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def committed_texts() -> Iterator[tuple[str, str]]:
    """Every file that git keeps and that is text, but the licence."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=GIT_TIMEOUT_S,
    ).stdout
    for name in listed.split("\0"):
        path = ROOT / name
        if name not in ("", "LICENSE") and path.is_file():
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode("utf-8")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_tidy(path: Path) -> None:
    assert list(complaints(path, path.read_text(encoding="utf-8"))) == []


def complaints(path: Path, text: str) -> Iterator[str]:
    if path.name == "__init__.py":
        if text:
            yield "an __init__.py is empty: import a thing from the file that has it"
        return
    tree = ast.parse(text)
    if not ast.get_docstring(tree):
        yield "a module starts by saying what it is for"
    if text.count("\n") > MODULE_LINES_MAX:
        yield f"more than {MODULE_LINES_MAX} lines: which two things is it?"
    if NO_SECOND_WORD & set(path.stem.split("_")):
        yield "a file is named for what it is, not for being of use"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.name} has {lines} lines; the limit is {FUNCTION_LINES_MAX}"
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Impl", "Helper")):
            yield f"{node.name}: a class is named for what it is"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("__init__.py", "x = 1\n", "an __init__.py is empty"),
        ("a.py", "x = 1\n", "a module starts by saying"),
        ("a.py", '"""A."""\n' + "x = 1\n" * MODULE_LINES_MAX, "more than 400 lines"),
        ("a_utils.py", '"""A."""\n', "a file is named for what it is"),
        ("a.py", '"""A."""\ndef f():\n' + "  x = 1\n" * FUNCTION_LINES_MAX, "f has 71 lines"),
        ("a.py", '"""A."""\nclass JobManager: ...\n', "JobManager: a class"),
    ],
)
def test_an_untidy_file_is_told_why(name: str, text: str, words: str) -> None:
    assert [complaint[: len(words)] for complaint in complaints(Path(name), text)] == [words]


def test_no_file_names_a_place_of_one_machine() -> None:
    found = [
        f"{name}: {match.group().strip()}"
        for name, text in committed_texts()
        for match in MACHINE.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize("folder", ["work", "tmp", "root", "home"])
def test_a_place_of_one_machine_is_seen(folder: str) -> None:
    texts = [f'"/{folder}/x"', f" /{folder}/.cache", f"(/{folder}/a_b)", f"https://{folder}/x"]
    assert [len(MACHINE.findall(text)) for text in texts] == [1, 1, 1, 0]


@pytest.mark.parametrize("text", ["/api/jobs", "https://x.example/a/b", "tmp_path / 'a'"])
def test_a_path_that_is_no_place_is_left_alone(text: str) -> None:
    assert MACHINE.findall(text) == []


def test_no_installed_package_has_the_name_of_one_of_our_folders() -> None:
    taken = importlib.metadata.packages_distributions()
    others = {f: set(taken.get(f, ())) - {"runchat"} for f in FOLDERS}
    assert {folder: names for folder, names in others.items() if names} == {}


def test_the_lock_holds_every_dependency_and_names_no_host() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["local"],
        *project["dependency-groups"]["dev"],
    }
    lock = (ROOT / ".ci" / "lock.txt").read_text(encoding="utf-8")
    model_lock = (ROOT / ".ci" / "model-lock.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    assert sorted(wanted - locked) == []
    assert re.findall(r"https?:|--index|--find-links|--extra", lock + model_lock) == []
