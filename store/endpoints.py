"""Endpoints that an admin added, what a probe found of each, and an operator's word on models."""

from __future__ import annotations

from dataclasses import dataclass

from store.database import Database

COLUMNS = "name, settings, sealed_key, created_at_ms, changed_at_ms"
SELECT = f"SELECT {COLUMNS} FROM endpoint"  # noqa: S608 - our own columns


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """An endpoint as it is kept: JSON of its settings, and its key sealed; None: it has none."""

    name: str
    settings: bytes
    sealed_key: bytes | None
    created_at_ms: int
    changed_at_ms: int


def put(db: Database, row: EndpointRow) -> None:
    """Keep an endpoint, in place of what its name meant before."""
    db.execute(
        f"INSERT OR REPLACE INTO endpoint ({COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - our own columns
        (row.name, row.settings, row.sealed_key, row.created_at_ms, row.changed_at_ms),
    )


def remove(db: Database, name: str) -> None:
    """Forget an endpoint with its key, and what a probe found."""
    db.execute("DELETE FROM endpoint WHERE name = ?", (name,))
    db.execute("DELETE FROM endpoint_profile WHERE name = ?", (name,))


def get(db: Database, name: str) -> EndpointRow | None:
    """Return the endpoint of a name."""
    row = db.execute(f"{SELECT} WHERE name = ?", (name,)).fetchone()
    return _row(*row) if row else None


def list_all(db: Database) -> list[EndpointRow]:
    """Return all endpoints, by name."""
    return [_row(*row) for row in db.execute(f"{SELECT} ORDER BY name")]


def _row(
    name: str, settings: bytes, sealed_key: bytes | None, created_at_ms: int, changed_at_ms: int
) -> EndpointRow:
    return EndpointRow(
        name=name,
        settings=settings,
        sealed_key=sealed_key,
        created_at_ms=created_at_ms,
        changed_at_ms=changed_at_ms,
    )


def set_profile(db: Database, name: str, profile: bytes, at_ms: int) -> None:
    """Keep what a probe found of an endpoint, wherever that is configured."""
    db.execute("INSERT OR REPLACE INTO endpoint_profile VALUES (?, ?, ?)", (name, profile, at_ms))


def profiles(db: Database) -> dict[str, bytes]:
    """Return what the latest probes found: JSON, by endpoint."""
    return dict(db.execute("SELECT name, profile FROM endpoint_profile").fetchall())


def put_facts(db: Database, model: str, facts: bytes, at_ms: int) -> None:
    """Keep the operator's word on a model, JSON, in place of the last."""
    db.execute("INSERT OR REPLACE INTO model_facts VALUES (?, ?, ?)", (model, facts, at_ms))


def forget_facts(db: Database, model: str) -> None:
    """Forget the operator's word on a model."""
    db.execute("DELETE FROM model_facts WHERE model = ?", (model,))


def facts(db: Database) -> dict[str, bytes]:
    """Return the operator's words: JSON, by model."""
    return dict(db.execute("SELECT model, facts FROM model_facts").fetchall())
