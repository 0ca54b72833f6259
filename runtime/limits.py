"""Every bound in one place, each with the reason it exists. Passing one is a clear error.

Names end in their unit (`_BYTES`, `_S`, `_MS`) or in `_MAX` where they count things.
"""

from __future__ import annotations

# --- runtime: mailboxes ---
MAILBOX_MAX = 1024  # messages; a conversation that far behind helps nobody, and 1,000 at once must fit
PARTS_MAX = 256  # parts waiting for a job; past it the provider waits (backpressure to its socket)
PARTS_BURST = 256  # parts a job takes at once: one append, one commit
MESSAGES_BURST = 64  # messages handled between two checkpoints, so that no actor holds the loop

# --- runtime: log ---
READ_EVENTS_MAX = 1000  # events a read returns at most, so that tiny events do not hold the loop
PAGE_BYTES = 64 * 1024  # bytes a reader takes a turn; then it lets others run
TAIL_STREAM_BYTES = 512 * 1024  # shared tail of one live stream: a reader this far behind reads the log
TAIL_TOTAL_BYTES = 32 * 1024 * 1024  # all tails together

# --- runtime: the interpreter ---
SWITCH_INTERVAL_S = 0.0005  # a busy loop keeps the GIL this long from the writer's thread; at the
# default of 5 ms a commit, which takes the GIL about four times, would wait 20 ms

# --- actors ---
QUEUED_JOBS_MAX = 32  # jobs waiting in one conversation (contract, section 3)
INPUT_BYTES_MAX = 1024 * 1024  # a job's input, UTF-8 (contract, section 3)
INPUT_PARTS_MAX = 1000  # parts of one input; more is a mistake of the caller
TITLE_CHARS_MAX = 200  # a conversation's title: a line, not a document
OUTPUT_BYTES_MAX = 64 * 1024 * 1024  # what one job may say; past it the job ends incomplete
JOB_ITEMS_MAX = 10_000  # items of one job
PROVIDER_CLOSE_S = 0.2  # a provider that has not closed its connection by then is abandoned
PROVIDER_IDLE_S = 120.0  # no part for so long ends the job as transport_error
CONVERSATION_IDLE_S = 60.0  # an idle conversation actor leaves after this and comes back on demand
JOB_IDLE_S = 1.0  # an ended job's actor leaves after this
STORE_RETRY_S = (0.1, 5.0)  # first and longest pause before an append is tried again on a full disk
