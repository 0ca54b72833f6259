"""Brings a database to this program's schema: older is migrated after a backup, newer is refused.

Steps are the files of `store/migrations`, in the order of their names; sqlite-utils notes which
have been applied. A merged step is never edited: a spec pins its digest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import sqlite_utils
from sqlite_utils.migrations import Migrations

from runtime.problems import SchemaNewer, SchemaOlder
from store.database import Database

NAME = "runchat"


def steps() -> dict[str, str]:
    """Return the SQL of every step by its name, in order."""
    folder = resources.files("store.migrations")
    files = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return {Path(name).stem: folder.joinpath(name).read_text("utf-8") for name in files}


def migrations(known: dict[str, str]) -> Migrations:
    """Return the steps as sqlite-utils applies them."""
    plan = Migrations(NAME)
    for name, sql in known.items():
        plan(name=name)(_step(sql))
    return plan


def _step(sql: str) -> Callable[[sqlite_utils.Database], None]:
    def apply(db: sqlite_utils.Database) -> None:
        for statement in _statements(sql):
            db.execute(statement)

    return apply


def _statements(sql: str) -> Iterator[str]:
    """Split a script at the lines that end a statement; a trigger is one statement."""
    lines: list[str] = []
    for line in sql.splitlines():
        lines.append(line)
        statement = "\n".join(lines).strip()
        if statement and sqlite3.complete_statement(statement):
            yield statement
            lines.clear()
    if rest := "\n".join(lines).strip():
        yield rest  # SQLite says what is wrong with it


def pending(db: Database, known: dict[str, str]) -> list[str]:
    """Return the names of the steps to be applied.

    Raises:
        SchemaNewer: the database has steps that this program does not know.
    """
    applied = [step.name for step in migrations(known).applied(db)]
    if unknown := sorted(set(applied) - set(known)):
        raise SchemaNewer(f"This program is too old for the database: it lacks {unknown[-1]}.")
    return [name for name in known if name not in applied]


def require_current(db: Database) -> None:
    """Check that nothing is to be migrated.

    Raises:
        SchemaNewer, SchemaOlder: see there.
    """
    if pending(db, steps()):
        raise SchemaOlder("Start `runchat serve` once, which brings the database up to date.")


def migrate(db: Database, known: dict[str, str]) -> None:
    """Apply what is pending, each step in a transaction, after a backup of a database in use.

    Args:
        db: a migrator's connection.
    """
    todo = pending(db, known)
    if not todo:
        return
    if len(todo) < len(known):
        kept = db.path.with_name(f"{db.path.name}.before-{todo[0]}")
        kept.unlink(missing_ok=True)
        db.execute("VACUUM INTO ?", (str(kept),))
        kept.chmod(0o600)
    migrations(known).apply(db)
