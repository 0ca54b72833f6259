"""What tools in a conversation promise."""

SOURCE = "CONTRACT.md sections 3 and 4; ARCHITECTURE.md laws 2, 3, 6, 7, 11 and 12"

PROMISES = {
    "tools.names": "Each tool has a name that every vendor takes; none takes another's.",
    "tools.own-sources": "A source that fails or does not answer costs its own tools.",
    "tools.bounded": "Tools beyond the bounds, or of a schema nobody can ask for, are left out.",
    "tools.evidence": "A call leaves a row before it is made, settled once after, then unchanging.",
    "tools.unknown": "What a dead process was calling is settled as unknown, and listed.",
}
