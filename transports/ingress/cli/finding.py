"""Where the service is that a command talks to, and the credential for it.

A data folder tells by `service.json`, which counts only while its owner lives (`store.folder`), so
that no token is sent to whoever has taken the port of a service that was killed.
Source: CONTRACT.md section 1.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from store.folder import find_service
from transports.ingress.cli.endings import CommandFailed, Exit, Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A service and the token for it."""

    url: str
    token: str
    pid: int | None = None  # None where only its url is known


class Finder(Protocol):
    """Finds the service, again after it was lost."""

    async def find(self, lost: Address | None, silent_s: float | None, /) -> Address:
        """Return where the service is now.

        Args:
            lost: what was found last time and did not answer.
            silent_s: how long ago a service answered last; None: none has answered yet.

        Raises:
            Lost: it is nowhere now.
            CommandFailed: it will be nowhere later either.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AtUrl:
    """The service at one url, come what may."""

    url: str
    token: str

    async def find(self, _lost: Address | None, _silent_s: float | None, /) -> Address:
        return Address(url=self.url, token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class InFolder:
    """The service that owns a data folder."""

    data: Path
    token_file: Path | None = None

    async def find(self, _lost: Address | None, _silent_s: float | None, /) -> Address:
        return self.look()

    def look(self) -> Address:
        """Return the owner of the folder.

        Raises:
            Lost: none runs.
        """
        found = find_service(self.data)
        if found is None:
            raise Lost(f"no service runs on {self.data}; start one with `runchat serve`")
        token = read_token(self.token_file or self.data / "token")
        return Address(url=reachable(found.url), pid=found.pid, token=token)


def finder(args: argparse.Namespace) -> AtUrl | InFolder:
    """Return what finds the service that the command line means.

    Raises:
        CommandFailed: a credential is missing.
    """
    if args.url is None:
        return InFolder(data=data_folder(args), token_file=args.token_file)
    if not args.url.startswith(("http://", "https://")):
        raise CommandFailed(f"--url {args.url} is no http or https URL", Exit.USAGE)
    if args.token_file is not None:
        return AtUrl(url=args.url, token=read_token(args.token_file))
    token = os.environ.get("RUNCHAT_TOKEN", "").strip()
    if not token:
        raise CommandFailed("--url wants a token, by --token-file or RUNCHAT_TOKEN", Exit.USAGE)
    return AtUrl(url=args.url, token=token)


def data_folder(args: argparse.Namespace) -> Path:
    """Return the data folder that the command line means, whether or not it exists."""
    if args.data is not None:
        folder: Path = args.data
        return folder.absolute()
    import platformdirs  # noqa: PLC0415  not needed where --data says it

    return platformdirs.user_data_path("runchat", appauthor=False)


def reachable(url: str) -> str:
    """Return the url of a service on this machine: one bound to every address is here as well."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def read_token(file: Path) -> str:
    """Return the token that a file holds.

    Raises:
        CommandFailed: it cannot be read, or holds none.
    """
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"the token in {file} cannot be read: {error}") from error
    if not token or not token.isascii() or not token.isprintable():
        raise CommandFailed(f"{file} holds no token")
    return token
