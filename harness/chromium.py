"""Finds a Chromium for the specs that need one, and installs Debian's where this user may.

Theory: the browser is a program of the machine, not of `.venv`: no package carries it. Where it is
missing and cannot be had, the specs that need it are skipped by name, and nothing else changes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")  # without a font every letter is a box
INSTALL_TIMEOUT_S = 600
VARIABLE = "RUNCHAT_CHROMIUM"  # names another one
MISSING = "Chromium is not installed"  # the reason of every skip for it


def find() -> str | None:
    """The path of a Chromium; `RUNCHAT_CHROMIUM` goes before the usual names."""
    named = os.environ.get(VARIABLE)
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


def find_or_install() -> str | None:
    """The path of a Chromium, after one quiet try to install it where this user is root."""
    if find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print("harness: installing chromium with apt-get", flush=True)
        with contextlib.suppress(subprocess.SubprocessError):  # what counts is what is there then
            apt_get("update")
            apt_get("install", "-y", "--no-install-recommends", *PACKAGES)
    return find()


def apt_get(*arguments: str) -> None:
    subprocess.run(
        ["apt-get", "-qq", *arguments],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=INSTALL_TIMEOUT_S,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    )
