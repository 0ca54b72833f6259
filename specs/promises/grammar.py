"""What a job's log promises: CONTRACT.md section 4."""

SOURCE = "CONTRACT.md section 4"

PROMISES = {
    "grammar.event-form": "An event is sequence, kind, at and data.",
    "grammar.sequence": "Sequences are 1, 2, 3 with no gap.",
    "grammar.unchanging": "A committed event never changes and is never removed.",
    "grammar.one-end": "A log ends in exactly one job.ended, and nothing follows it.",
    "grammar.started": "job.started names model, endpoint, conversation and message.",
    "grammar.items": "An item is started, told in deltas, and done with the whole item.",
    "grammar.deltas-equal-done": "Concatenated deltas equal the text of item.done.",
    "grammar.done-before-completed": "Every item's item.done precedes a completed end.",
    "grammar.retracted": "A retracted item is forgotten by the fold.",
    "grammar.usage": "usage is normalised beside what came, with its source.",
    "grammar.fold-is-get": "fold(log) is what GET shows, items included.",
    "grammar.merged-before-sequence": (
        "Waiting deltas may be merged before they have a sequence, never after."
    ),
    "grammar.synthetic-not-merged": "Synthetic deltas are never merged.",
    "grammar.unknown-survives": "An event or item that is not understood never kills a fold.",
    # the end table
    "end.finished": "The wire's own terminal mark ends a job completed.",
    "end.length-or-filter": "A terminal mark of length or filter ends a job incomplete.",
    "end.no-reason": "[DONE] without a reason is finished_no_reason, completed.",
    "end.truncated": "A clean end without a mark is truncated, incomplete.",
    "end.reset": "A reset is transport_error, incomplete.",
    "end.idle": "An idle timeout is transport_error, incomplete.",
    "end.provider-error": "A provider's error is provider_error, failed, with class and message.",
    "end.aborted": "An abort is cancelled, aborted.",
    "end.superseded": "A replacement is cancelled, superseded.",
    "end.shutdown": "A shutdown is cancelled, interrupted.",
    "end.crashed": "A job whose actor gave up ends failed with reason crashed and no end_state.",
    "end.process-died": "A job whose process died ends interrupted with no end_state.",
    "end.partial-kept": "Every end keeps the content that had come.",
}
