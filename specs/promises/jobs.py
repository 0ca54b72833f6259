"""What jobs and conversations promise: CONTRACT.md section 3, but for reading a log."""

SOURCE = "CONTRACT.md section 3"

PROMISES = {
    # conversations
    "conversations.create": "POST creates a conversation: 201 with id, title and created_at.",
    "conversations.list": "A caller's conversations are listed, and one is read by its id.",
    "conversations.current-job": "current_job is the running job's id, or null.",
    "conversations.messages": "The messages are listed oldest first, with status and job.",
    "conversations.log": "A conversation's own log tells its story and has no end.",
    # starting
    "jobs.accepted": "A job is 202 with message_id and Location.",
    "jobs.input-text-or-parts": "input is a text or a list of text parts; both ask the same.",
    "jobs.input-bounds": "input of 0 characters or over 1 MiB is 422.",
    "jobs.unknown-model": "An unknown model is 422 with the pointer /model.",
    "jobs.default-model": "Without model the setting's default answers.",
    "jobs.options": "An option that the model has not, or a wrong one, is 422.",
    "jobs.list": "Jobs are listed by status, by `active` and by conversation.",
    "jobs.get": "GET shows all fields of a job, items and usage included.",
    "jobs.prompt": "A second question sees the first, newest kept, fitted to the model's window.",
    "jobs.prompt-leaves-out-superseded": "What a superseded job said is not in a later prompt.",
    "jobs.log-per-job": "A job's id is no conversation's id and is never used twice.",
    # which job is current
    "jobs.linearizable": (
        "What concurrent clients see of a conversation could have happened one after the other."
    ),
    "jobs.refuse-one-wins": "Of N racing with refuse one wins; the others get 409 with its job_id.",
    "jobs.thousand-at-once": "1,000 concurrent submissions are each answered, and none is lost.",
    "jobs.replace-wins": "replace always wins; of N racing all get 202 and the last survives.",
    "jobs.replace-fence": "replaces naming anything but the current job is 409 with current_job.",
    "jobs.replaces-needs-replace": "replaces without on_active replace is 422.",
    "jobs.replace-order": "The old end is visible before the new first event.",
    "jobs.replace-atomic": "A crash at any point of a replacement leaves all of it or nothing.",
    "jobs.replace-names-successor": "The replaced job ends superseded, with superseded_by.",
    "jobs.replace-before-queue": "replace ends the running job and goes ahead of the queue.",
    "jobs.replace-no-late-part": "A late part of the old job is never seen.",
    "jobs.queue-order": "Queued jobs run in order, each after any end of the one before.",
    "jobs.queue-bound": "The 33rd waiting job is 429.",
    "jobs.queue-durable": "A queued job is durable at 202, with head 0 and an empty log.",
    "jobs.queue-abort": "Aborting a queued job writes job.ended as its only event.",
    # aborting
    "jobs.abort": "abort answers after the end is committed, and the job ends aborted.",
    "jobs.abort-again": "abort again is 200 with the same job.",
    "jobs.abort-ended": "abort of a job that ended otherwise is 409 job-ended with job_status.",
    "jobs.abort-body": "abort takes no body or {}, and nothing else.",
    "jobs.abort-keeps-partial": "An aborted answer keeps what had been said.",
    "jobs.abort-closes-provider": "The provider's connection is closed within 250 ms of an abort.",
    "jobs.replace-closes-provider": "The provider's connection is closed within 250 ms of replace.",
    "jobs.run-without-readers": "A job runs on when every reader has left.",
}
