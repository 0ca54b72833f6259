"""The desk of tools: what a caller may call, a call made by the caller, and the evidence of all.

A call that the caller makes is a job like any other, with a log of its own. The caller takes the
model's place: the log begins with the call, as if a model had made it, so that it goes through the
same actor, the same approval and the same evidence; its result ends the job.
"""

from __future__ import annotations

from actors.spine import Spine
from actors.toolbox import Toolbox


class ToolDesk:
    """One per service."""

    def __init__(self, spine: Spine) -> None:
        self._spine = spine

    @property
    def box(self) -> Toolbox:
        """The sources of tools."""
        return self._spine.toolbox
