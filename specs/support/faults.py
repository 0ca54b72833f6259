"""What breaks under a running service when a spec says so."""

from __future__ import annotations

from typing import Any

from specs.support.server import Service
from store.writer import Write


async def break_the_audit(running: Service) -> None:
    """Have the database refuse every further audit entry, as a damaged table would."""

    def rows(db: Any) -> None:
        db.conn.set_authorizer(None)
        db.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON audit"
            " BEGIN SELECT RAISE(ABORT, 'the audit trail is broken'); END"
        )

    await running.writer.write(Write(rows=rows))
