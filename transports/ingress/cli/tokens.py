"""`runchat token create | list | revoke`: credentials, straight in the database of a data folder.

It works beside a running service, which looks a token up at every request, so that a change counts
at once; and on a folder that no service has seen yet, which is then made as a first start makes it.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from runtime import limits
from runtime.clock import SystemClock, rfc3339
from runtime.ids import Ids
from store import beside, folder, opening, tokens
from transports.ingress.cli.endings import CommandFailed, Exit
from transports.ingress.cli.finding import data_folder

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
PREFIX = "tok_"  # of a token's id, which is no secret
NEVER = "never"


def create(args: argparse.Namespace) -> int:
    """Make a token; its secret is the last word on stdout, and nowhere else."""
    tenant, user = name(args.tenant, "--tenant"), name(args.user, "--user")
    expires_s = duration_s(args.expires) if args.expires is not None else None
    if not args.name.isprintable() or len(args.name) > limits.CLI_NAME_CHARS_MAX:
        raise CommandFailed("--name must be one line of at most 128 characters", Exit.USAGE)
    data = data_folder(args)
    prepare(data)
    token_id, secret = make(
        data, tenant, user, admin=args.admin, words=args.name, expires_s=expires_s
    )
    print(f"{token_id} for {tenant}/{user}; the token is shown only now:", file=sys.stderr)
    print(secret)
    return Exit.DONE


def make(
    data: Path, tenant: str, user: str, *, admin: bool, words: str, expires_s: int | None = None
) -> tuple[str, str]:
    """Make a token in the store of a folder; return its id and its secret."""
    clock = SystemClock()
    ids, now_ms = Ids(clock), clock.now_ms()
    token_id, secret = ids.new(PREFIX), ids.secret()
    with (
        beside.opened(data, ids) as store,
        beside.audited(
            store, at_ms=now_ms, tenant=tenant, action="token.create", object_id=token_id
        ) as database,
    ):
        tokens.create(
            database,
            id=token_id,
            secret=secret,
            tenant=tenant,
            user=user,
            admin=admin,
            name=words,
            now_ms=now_ms,
            expires_at_ms=None if expires_s is None else now_ms + 1000 * expires_s,
        )
    return token_id, secret


def list_tokens(args: argparse.Namespace) -> int:
    """Print a line each: id, tenant, user, created, last used, expiry; then what else is known."""
    with beside.opened(data_folder(args), Ids(SystemClock())) as store:
        rows = tokens.list_all(store.reader)
    for row in rows:
        words = [row.id, row.tenant, row.user, moment(row.created_at_ms)]
        words += [moment(row.last_used_at_ms), moment(row.expires_at_ms)]
        words += ["admin"] if row.admin else []
        words += [f"revoked {moment(row.revoked_at_ms)}"] if row.revoked_at_ms else []
        words += [row.name] if row.name else []
        print("  ".join(words))
    return Exit.DONE


def revoke(args: argparse.Namespace) -> int:
    """End a token at once."""
    clock = SystemClock()
    now_ms = clock.now_ms()
    with beside.opened(data_folder(args), Ids(clock)) as store:
        found = [row for row in tokens.list_all(store.reader) if row.id == args.id]
        if not found:
            raise CommandFailed(f"there is no token {args.id}")
        if found[0].revoked_at_ms is not None:
            print(f"{args.id} had been revoked already", file=sys.stderr)
            return Exit.DONE
        with beside.audited(
            store,
            at_ms=now_ms,
            tenant=found[0].tenant,
            action="token.revoke",
            object_id=args.id,
        ) as database:
            tokens.revoke(database, args.id, now_ms)
    print(f"{args.id} is revoked", file=sys.stderr)
    return Exit.DONE


def prepare(data: Path) -> None:
    """Make the store of a folder that no service has seen yet, as the first start would."""
    if (data / opening.FILE).exists():
        return
    from transports import compose  # noqa: PLC0415  0.5 s that only a new folder pays

    clock = SystemClock()
    ids = Ids(clock)
    with folder.own(data):
        store = opening.open_store(data, ids=ids, migrates=True)
        try:
            compose.make_owner(store, data, clock, ids)
        finally:
            store.close()


def name(text: str, flag: str) -> str:
    """Return a name as it was given.

    Raises:
        CommandFailed: it cannot be one.
    """
    if not re.fullmatch(r"[\w.@+-]+", text) or len(text) > limits.CLI_NAME_CHARS_MAX:
        raise CommandFailed(f"{flag} must be a word of letters, digits and . _ @ + -", Exit.USAGE)
    return text


def duration_s(text: str) -> int:
    """Return the seconds of a time such as `12h` or `30d`.

    Raises:
        CommandFailed: it is none, or too long.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,9})([smhdw])", text)
    seconds = int(match[1]) * UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= limits.CLI_EXPIRES_S_MAX:
        words = "a time such as 45m, 12h, 30d or 8w, of at most ten years"
        raise CommandFailed(f"--expires must be {words}", Exit.USAGE)
    return seconds


def moment(at_ms: int | None) -> str:
    """Return a moment as the list writes it."""
    return NEVER if at_ms is None else rfc3339(at_ms)
