"""Globs over paths: `*` is one segment or a part of one, `**` is any number of segments. Pure.

Matched by hand and not by a regular expression, since a caller's pattern could make one take for
ever: here the cost is at most segments of the pattern times segments of the path.
Source: Durable Streams protocol 1.0, section 6.2.
"""

from __future__ import annotations


def matches(pattern: str, path: str) -> bool:
    """Whether the whole path is one that the pattern means."""
    reached = {0}  # how many segments of the path the pattern so far may have taken
    segments = path.split("/")
    for wanted in pattern.split("/"):
        if wanted == "**":
            reached = set(range(min(reached), len(segments) + 1))
        else:
            reached = {
                at + 1 for at in reached if at < len(segments) and _is_like(wanted, segments[at])
            }
        if not reached:
            return False
    return len(segments) in reached


def _is_like(wanted: str, segment: str) -> bool:
    """Whether a segment is the wanted one, in which each `*` stands for any text."""
    first, *rest = wanted.split("*")
    if not rest:
        return wanted == segment
    if not segment.startswith(first):
        return False
    at = len(first)
    *inner, last = rest
    for piece in inner:
        found = segment.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(segment) - len(last) >= at and segment.endswith(last)
