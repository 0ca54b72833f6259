"""`runchat backup` and `runchat restore`: a data folder as one file, and back.

A restored folder gets a token of its own in NEW/token, since the backup holds none in plain.
"""

from __future__ import annotations

import argparse
import sys

from runtime.problems import SchemaOlder
from store import backup as backups
from store import folder
from transports.ingress.cli import link, tokens
from transports.ingress.cli.endings import Exit
from transports.ingress.cli.finding import data_folder


def backup(args: argparse.Namespace) -> int:
    """Write the backup, also while a service runs."""
    words = backups.backup(data_folder(args), args.file.absolute())
    print(f"{args.file} is written. {words}", file=sys.stderr)
    return Exit.DONE


def restore(args: argparse.Namespace) -> int:
    """Make the new folder, and a token for its owner."""
    data = args.data.absolute()
    backups.restore(args.file.absolute(), data)
    print(f"{args.data} is restored; serve it with `runchat serve --data`.", file=sys.stderr)
    try:
        _, secret = tokens.make(data, link.TENANT, link.USER, admin=True, words="restored")
    except SchemaOlder:
        words = (
            "Its schema is older: after the first start make a token with `runchat token create`."
        )
        print(words, file=sys.stderr)
    else:
        folder.write_private(data / "token", f"{secret}\n")
    return Exit.DONE
