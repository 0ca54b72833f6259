"""What replaying a job promises: CONTRACT.md section 1, and the golden logs of section 4."""

SOURCE = "CONTRACT.md sections 1 and 4"

PROMISES = {
    "replay.export": "A job is exported as lines: inputs, messages, parts with their times, log.",
    "replay.identical": "An exported job that is run again makes the same bytes, however it ended.",
    "replay.difference": "A log that is not what the actors make is shown at its first difference.",
    "replay.at": "A replay up to event N shows the job as it was after it.",
    "replay.every-schema": "A log of every released schema replays.",
    "replay.no-secrets": "No key, token or text of an option is in an export.",
    "replay.served": "A replay is played to a browser by the product's own front, in real time.",
    "replay.command": "`runchat export` and `runchat replay` do it on the command line.",
}
