"""What a provider that misbehaves may cost: CONTRACT.md section 4, and the laws 9, 10 and 12."""

SOURCE = "CONTRACT.md section 4"

PROMISES = {
    "wires.strange": "An answer that is none costs one job, which says whose fault it is.",
    "wires.large": "Ten megabytes in one event are read; past a bound, what came is kept.",
    "wires.silence": "A provider that says nothing for minutes is let go, pings or not.",
    "wires.errors": "A provider's error is one of ten classes, with its own code and request id.",
}
