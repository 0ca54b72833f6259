"""How a command ends: its exit status, and the one sentence that says why it did not succeed.

Statuses are part of the command line's contract; scripts and desktop apps branch on them.
Source: CONTRACT.md section 1; 130 and 141 are the shell's own 128 + signal.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit status of `runchat`."""

    DONE = 0
    FAILED = 1  # the job failed, or the service refused or could not be reached
    USAGE = 2  # the command line or a setting is wrong
    OWNED = 3  # another `serve` owns the data folder
    UNUSABLE = 4  # the data folder cannot be used: newer schema, read-only, network filesystem
    STORAGE = 5  # the disk failed while serving
    ABORTED = 130
    PIPE_CLOSED = 141


class CommandFailed(Exception):
    """The command ends here; its sentence is for a person."""

    def __init__(self, sentence: str, status: int = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.status = status


class Lost(CommandFailed):
    """The service does not answer, or is stopping; it may come back."""


class Said(CommandFailed):
    """The service refused, in its own words."""

    def __init__(self, sentence: str, name: str) -> None:
        """Keep the problem's kebab-case name, such as `job-ended`."""
        super().__init__(sentence)
        self.name = name


def leaf(error: BaseException) -> BaseException:
    """Return the one error inside the groups of nurseries, or a group of several."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
