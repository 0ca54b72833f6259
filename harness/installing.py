"""Puts others' packages, pinned, into folders beside `.venv`'s own, once.

A folder bears a stamp of what was put into it; another list of packages is put in afresh. Two runs
of ours do not install at the same time.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import setup

INSTALL_S = 400
QUIET = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
NODE_MIN = 20


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep another run of ours from installing in this folder at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(folder: Path, packages: Sequence[str], install: Callable[[], bool]) -> bool:
    """Have a folder hold these packages; return whether it does."""
    stamp, wanted = folder / "installed.json", json.dumps(packages)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not install():
        return False
    stamp.write_text(wanted, encoding="utf-8")
    return True


def finishes(folder: Path, *commands: Sequence[str]) -> bool:
    """Run installations one after the other; say whether all went well."""
    for command in commands:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
            )
        except subprocess.TimeoutExpired:
            return False
        if done.returncode != 0:
            print(done.stderr[-2000:], file=sys.stderr)
            return False
    return True


def npm_installed(
    folder: Path, npm: str, packages: Sequence[str], *, wheel: str = "", options: Sequence[str] = ()
) -> bool:
    """Have a folder hold these packages of npm; return whether it does.

    Args:
        wheel: a package of Python's to put into `folder/python` beside them; "" for none.
        options: of npm, beyond those of every installation.
    """
    npm_install = [npm, "install", *QUIET, *options, "--save-exact", *packages]
    pip = [sys.executable, *setup.PIP, "install", "-q", "--no-deps", "--target"]
    commands = [npm_install, *([[*pip, str(folder / "python"), wheel]] if wheel else [])]

    def install() -> bool:
        (folder / "package.json").write_text('{"private": true, "type": "module"}\n', "utf-8")
        return finishes(folder, *commands)

    return installed(folder, [*packages, *([wheel] if wheel else [])], install)


def node_and_npm() -> tuple[str, str] | None:
    """Return node and npm; None where one of them is missing, or node is too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or version_of(node) < NODE_MIN:
        return None
    return node, npm


def version_of(node: str) -> int:
    """Return node's major version; 0 where it does not say."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    number = said.stdout.strip().lstrip("v").partition(".")[0]
    return int(number) if number.isdecimal() else 0
