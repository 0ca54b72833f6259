"""`python3 -m harness setup`: from nothing, again, after a cut, and where it cannot be."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness import setup
from specs.requirements import requirement

ROOT = Path(__file__).parents[3]
SETUP_TIMEOUT_S = 60
BACKEND = '''"""What pip needs to install a project in place, without a registry."""
import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr("tiny.pth", str(pathlib.Path.cwd()))
        info = "tiny-1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
'''
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def checkout(folder: Path) -> Path:
    """A copy of what setup needs, with empty locks and a project that builds without a registry."""
    (folder / "harness").mkdir()
    (folder / ".ci").mkdir()
    for path in (ROOT / "harness").glob("*.py"):
        shutil.copy(path, folder / "harness")
    (folder / "backend.py").write_text(BACKEND, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    for name in ("lock.txt", "model-lock.txt"):
        (folder / ".ci" / name).write_text("# nothing\n", encoding="utf-8")
    return folder


def harness(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=SETUP_TIMEOUT_S,
    )


def odd_lock(folder: Path) -> str:
    """A lock whose one package is not what its hash says."""
    wheel = folder / "odd-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("odd-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: odd\n")
    return f"odd @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n"


@requirement("harness.setup")
def test_setup_from_nothing_again_after_a_new_lock_a_wrong_one_and_a_cut(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    lock, stamp = folder / ".ci" / "lock.txt", folder / ".venv" / "runchat-stamp"

    first = harness(folder, "setup")
    assert (first.returncode, first.stderr.splitlines()[-1]) == (0, "harness: .venv is ready")
    compiled = f"setup.{sys.implementation.cache_tag}.pyc"
    assert (folder / "harness" / "__pycache__" / compiled).exists()

    made_at_ns = stamp.stat().st_mtime_ns
    again = harness(folder, "setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert stamp.stat().st_mtime_ns == made_at_ns

    mark = folder / ".venv" / "mark"
    mark.touch()
    lock.write_text("# another nothing\n", encoding="utf-8")
    renewed = harness(folder, "setup")
    assert (renewed.returncode, mark.exists()) == (0, True)  # brought up to date in place

    lock.write_text(odd_lock(folder), encoding="utf-8")
    refused = harness(folder, "setup")
    cause = "setup failed. A package is not what the lock says: it was not installed."
    assert cause in refused.stderr.splitlines()
    assert (refused.returncode, stamp.exists()) == (2, False)

    lock.write_text("# nothing\n", encoding="utf-8")
    repaired = harness(folder, "setup")
    assert (repaired.returncode, mark.exists(), stamp.exists()) == (0, False, True)  # made anew


@requirement("harness.setup")
def test_setup_refuses_a_link_to_somewhere_else(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    folder, elsewhere = checkout(tmp_path / "here"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (folder / ".venv").symlink_to(elsewhere)
    refused = harness(folder, "setup")

    assert refused.returncode == 2
    assert ".venv is a symbolic link" in refused.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]


@requirement("harness.old-python")
@pytest.mark.parametrize("name", ["__init__", "__main__"])
def test_what_an_old_python_reads_is_in_its_grammar(name: str) -> None:
    text = (ROOT / "harness" / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 7))
    at_import = [
        ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    standard = ["import importlib", "import importlib.util", "import os", "import sys"]
    assert at_import == ([] if name == "__init__" else standard)


@requirement("harness.old-python")
def test_an_old_python_gets_a_sentence_and_no_traceback(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    pretend = (
        "import runpy, sys; sys.version_info = (3, 8, 1); sys.argv[:] = ['harness', 'setup'];"
        "runpy.run_module('harness', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", pretend],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=SETUP_TIMEOUT_S,
    )
    sentence = f"Runchat needs Python 3.11 or newer; {sys.executable} is Python 3.8.\n"
    assert (done.returncode, done.stderr) == (2, sentence)
    assert not (folder / ".venv").exists()


@requirement("harness.setup")
def test_a_python_with_nothing_but_its_own_library_starts_the_test_command() -> None:
    bare = [sys.executable, "-S", "-m", "harness", "test", "--only", "dance"]
    done = subprocess.run(
        bare, cwd=ROOT, check=False, capture_output=True, text=True, timeout=SETUP_TIMEOUT_S
    )
    usage = "usage: python3 -m harness test --only "
    assert (done.returncode, done.stderr[: len(usage)]) == (2, usage)


@requirement("harness.disk-full")
def test_a_full_disk_is_told_with_what_is_needed() -> None:
    told = setup.explain("OSError: [Errno 28] No space left on device")
    first = f"setup failed. The disk is full: about 1 GB must be free in {ROOT}."
    assert told.splitlines()[0] == first


@requirement("harness.wheel")
def test_the_wheel_ships_every_folder_but_specs(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignored)
    page = copy / "transports" / "ingress" / "web" / "page"
    page.mkdir(parents=True, exist_ok=True)
    for name in ("a.html", "a.css", "a.js", "a.svg"):
        (page / name).touch()
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "."]
    subprocess.run([*pip, "-w", str(tmp_path)], cwd=copy, check=True, timeout=SETUP_TIMEOUT_S)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"runtime", "actors", "transports", "store", "harness"}
    shipped = {name for name in names if name.startswith("transports/ingress/web/page/")}
    assert shipped == {
        f"transports/ingress/web/page/a.{end}" for end in ("html", "css", "js", "svg")
    }


def test_an_unknown_command_is_told_the_known_ones() -> None:
    done = harness(ROOT, "dance")
    assert (done.returncode, done.stderr.split(" | ")[0]) == (2, "usage: python3 -m harness setup")
