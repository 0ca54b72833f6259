"""What reading a log promises: CONTRACT.md section 3, `Reading a log`."""

SOURCE = "CONTRACT.md section 3, reading a log"

PROMISES = {
    # server-sent events
    "sse.only-when-named": "A log is an event stream only when Accept names it.",
    "sse.opening": "A stream opens with retry:, a comment of 2 kB and a block of id: alone.",
    "sse.frame": "A frame is id, event and data, whose data is the whole event.",
    "sse.same-bytes": "Every form and every reader gets the same bytes of an event.",
    "sse.heartbeat": "A quiet stream carries a comment every 15 s.",
    "sse.closes-after-end": "The stream closes after job.ended.",
    "sse.resume-last-event-id": "Last-Event-ID resumes after that event, none missing or doubled.",
    "sse.resume-empty-id": "An empty Last-Event-ID is as if absent.",
    "sse.resume-after": "?after=N resumes after N; Last-Event-ID goes before it.",
    "sse.tail-now": "?after=now shows only what comes.",
    "sse.from-start": "Without a cursor a stream begins at the first event.",
    "sse.ended-204": "A reader already at the terminal event gets 204.",
    "sse.slow-reader": "A slow reader is cut after its bound, and its cursor is still good.",
    "sse.slow-reader-memory": "Stalled readers cost a bounded memory.",
    "sse.revoked": "A revoked reader's stream ends cleanly within 60 s.",
    "sse.many-readers": "Every reader of one job sees every event once and in order.",
    "sse.never-before-commit": "No reader sees an event that a crash could lose.",
    "sse.survives-kill": "A reader resumes after SIGKILL and restart, none missing, none doubled.",
    # pages
    "log.page": "JSON, */* or no Accept gets events, head and ended.",
    "log.page-after": "?after= begins after N, and now answers the head and no events.",
    "log.page-limit": "?limit= is 1 to 1000, default 500, else 422.",
    "log.page-wait": "?wait= holds the answer until an event comes, or 200 with none at its end.",
    "log.page-wait-bound": "?wait= outside 0 to 30 s is 422.",
    "log.page-ended": "ended says that the log has its terminal event.",
    "log.cut-anywhere": "Cut at any byte and resumed, every form gives the bytes of the uncut.",
    "log.damage-is-never-data": "Torn and flipped bytes on the disk are never read as data.",
    # cursors
    "cursor.malformed": "A cursor that is no number or negative is 422.",
    "cursor.ahead": "A cursor past the head is 422 cursor-ahead with head and log_epoch.",
    "cursor.new-epoch": "A restored store has a new log_epoch.",
}
