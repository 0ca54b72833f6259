"""Who asks, and for whom: the answer that every access check starts from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated caller. Everything a caller owns carries `tenant` and `user`."""

    tenant: str
    user: str
    admin: bool = False
    credential: str = ""  # id of the token or session that proved it; "" where none did (harness)

    @property
    def name(self) -> str:
        """The caller as the audit trail writes it."""
        return f"{self.tenant}/{self.user}"
