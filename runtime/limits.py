"""Every bound in one place, each with the reason it exists. Passing one is a clear error.

Names end in their unit (`_BYTES`, `_S`, `_MS`) or in `_MAX` where they count things.
"""

from __future__ import annotations

# --- runtime: mailboxes ---
MAILBOX_MAX = 1024  # messages; 1,000 at once must fit, and to be further behind helps nobody
PARTS_MAX = 256  # parts waiting for a job; past it the provider waits (backpressure to its socket)
PARTS_BURST = 256  # parts a job takes at once: one append, one commit
MESSAGES_BURST = 64  # messages handled between two checkpoints, so that no actor holds the loop

# --- runtime: supervision ---
RESTART_BASE_S = 0.1  # longest pause after the first crash; doubles with each further one
RESTART_CAP_S = 5.0  # longest pause ever: a person who waits still sees the actor come back
CRASHES_MAX = 5  # crashes borne within the window; one more and the supervisor gives up honestly
CRASHES_WINDOW_S = 60.0  # longer than all the pauses of one budget, so that a steady crash gives up
STOP_GRACE_S = 2.0  # lives that have not ended by then are left to their shielded cleanup

# --- runtime: telemetry ---
LOG_CHAIN_MAX = 8  # exceptions told of in one line: a group of a thousand is one story
LOG_FRAMES_MAX = 12  # frames of a traceback told, the innermost
LOG_LINES_WAITING_MAX = 10_000  # log lines whose reader is slow; past it they are dropped
LOG_GATHER_S = 0.02  # lines gather so long: a thread that wakes for each of them holds up the loop
LOG_LINES_BURST = 100  # lines written at once
LOG_CLOSE_S = 0.5  # at the end the log has so long to be written
LOG_SAID_CHARS = 200  # of what a library logs, which may have put anything into its words
LOOP_LAG_SAMPLE_S = 0.5  # between two measures of the loop's lag; two a second cost nothing

# --- runtime: log ---
FIRST_READ_EVENTS_MAX = 4  # of a reader's first read: who comes back sees something at once
READ_GROWTH = 2  # each read may return so many times more: one that leaves again has cost little
READ_EVENTS_MAX = 1000  # events a read returns at most, so that tiny events do not hold the loop
PAGE_BYTES = 64 * 1024  # bytes a reader takes a turn; then it lets others run
TAIL_STREAM_BYTES = 1024 * 1024  # shared tail of a live stream; who is further behind reads the log
PAGES_KEPT_MAX = 128  # full pages read lately, 8 MB and as much again as they are sent
PAGE_KEPT_BYTES_MAX = 2 * PAGE_BYTES  # a page that one huge event makes is not kept
RECORD_COST_BYTES = 190  # a record in memory beside its body, measured with CPython 3.11
SEGMENT_COST_BYTES = 450  # a segment in memory beside its records
TAIL_TOTAL_BYTES = 48 * 1024 * 1024  # all tails together
RENDERINGS_MAX = 4  # ways in which a segment is kept rendered as a whole

# --- runtime: the interpreter ---
SWITCH_INTERVAL_S = 0.0005  # a busy loop keeps the GIL this long from the writer's thread; at the
# default of 5 ms a commit, which takes the GIL about four times, would wait 20 ms
RANDOM_AHEAD_BYTES = 1000  # of the system's randomness, drawn at once: a hundred ids

# --- store ---
WRITES_WAITING_MAX = 8192  # Writes not committed yet; as many jobs cannot run at once
BATCH_WRITES_MAX = 1024  # Writes in one commit: a batch this long takes some 10 ms
WAL_BYTES = 8 * 1024 * 1024  # past it the writer checkpoints between two commits, some 20 ms
CHECKPOINT_IDLE_S = 0.5  # a pause of the writer in which a checkpoint disturbs nobody
BUSY_TIMEOUT_MS = 5000  # another program's transaction (`runchat token`) takes a few ms
LARGE_VALUE_BYTES = 256 * 1024  # a value that a prepared statement is not left holding
STATEMENTS_MAX = 256  # prepared statements kept by a connection: more than there are in store/
STREAM_IDS_MAX = 16_384  # names of streams remembered with their ids, 3 MB
ENDS_KEPT_MAX = 4096  # ends of streams remembered, 1 MB: of those that are read again
RECOVERY_STREAMS_MAX = 64  # newest streams whose last page is verified at the start
TOUCH_MS = 60_000  # the last use of a credential is noted at most this often
SESSION_MS = 30 * 24 * 3600 * 1000  # a session ends when unused for so long (contract, section 1)
SIGNIN_CODE_MS = 5 * 60 * 1000  # a sign-in link (contract, section 1)
IDEMPOTENCY_MS = 24 * 3600 * 1000  # an idempotency key is kept so long (contract, section 2)

# --- actors ---
QUEUED_JOBS_MAX = 32  # jobs waiting in one conversation (contract, section 3)
INPUT_BYTES_MAX = 1024 * 1024  # a job's input, UTF-8 (contract, section 3)
INPUT_PARTS_MAX = 1000  # parts of one input; more is a mistake of the caller
TITLE_CHARS_MAX = 200  # a conversation's title: a line, not a document
APPEND_BYTES = 512 * 1024  # of text in one append of a job: a burst of large deltas is several
OUTPUT_BYTES_MAX = 64 * 1024 * 1024  # what one job may say; past it the job ends incomplete
JOB_ITEMS_MAX = 10_000  # items of one job
PROVIDER_CLOSE_S = 0.2  # a provider that has not closed its connection by then is abandoned
PROVIDER_IDLE_S = 120.0  # no part for so long ends the job as transport_error
IDLE_LOOKS = 24  # how often within PROVIDER_IDLE_S a silent call is looked for
CALLS_WAITING_MAX = 10_000  # calls waiting for one endpoint; a few kB each
ANSWER_TOKENS = 4096  # asked for where a wire wants a number and nobody knows the model's own
CIRCUIT_FAILURES_MAX = 5  # failures in a row that open an endpoint's circuit
CIRCUIT_OPEN_S = 10.0  # an open circuit refuses calls at once for so long
JOB_ANSWER_S = 5.0  # a job that cannot say its end by then waits for the disk: the caller is told
PROBE_S = 60.0  # a probe of an endpoint; a model that loads first takes its time
PROBE_TOKENS = 16  # what a probe asks for: a word, and a reasoning model's least
ENDPOINT_MODELS_MAX = 1000  # models of one endpoint; the largest market has about as many
MODEL_TOKENS_MAX = 1_000_000_000  # of a window that an operator names; none is a hundredth of it
MODEL_WORDS_MAX = 64  # abilities, kinds of input, efforts of one model
MODEL_WORD_CHARS = 64  # of one of them
API_KEY_CHARS_MAX = 8192  # signed keys are long; a header line holds no more
PROMPT_BYTES_MAX = 4 * 1024 * 1024  # messages read for one prompt, where the window is not known
TOKENIZERS_KEPT_MAX = 64  # models whose tokenizer was looked for; a few vocabularies serve all
TOKENIZED_CHARS = 50_000  # in one go; tiktoken's expressions run out of stack on far longer texts
TURN_ITEMS_MAX = 10_000  # items of one request of a front; as many as a job may make
TURN_CHAIN_MAX = 1000  # responses that follow one another; each is read for the next one's prompt
ORDINAL_MAX = 2**53 - 1  # larger than the number of any job of a conversation
THREAD_ITEMS_MAX = 20  # put into a conversation by one request (OpenAI's API reference)
MEMORY_JOBS_MAX = 1024  # of `store: false` in memory, running or ended; past it the oldest leave
MEMORY_BYTES = 64 * 1024 * 1024  # of them together; past it the oldest leave, or none is taken
MEMORY_KEPT_S = 300.0  # an ended one can be read again for so long, at most
MEMORY_SWEEP_MAX = 64  # begun between two looks for those that may leave
CREDENTIALS_NOTED_MAX = 10_000  # credentials whose use is remembered, to write it once a minute
INTERRUPT_S = 2.0  # at a stop: the ends of the jobs that ran on have so long to be committed; with
# END_S it stays below the 5 s after the grace (contract, section 1); a later end is the recovery's
STOP_POLL_S = 0.02  # at a stop: how often we look whether jobs still run
CONVERSATION_IDLE_S = 60.0  # an idle conversation actor leaves after this and comes back on demand
JOB_IDLE_S = 1.0  # an ended job's actor leaves after this
STORE_RETRY_S = (0.1, 5.0)  # first and longest pause before an append is tried again on a full disk

STREAM_RECORD_BYTES = (
    16 * 1024
)  # JSON values of one append that are kept as one record: a row costs
# 4 us whatever it holds, and a reader takes at least a record
STREAM_IDLE_S = 60.0  # an idle stream's actor leaves after this and comes back on demand
STREAM_PATH_BYTES_MAX = 1024  # of a stream's path
CONTENT_TYPE_CHARS_MAX = 256  # of a stream's content type
PRODUCER_ID_CHARS_MAX = 256  # of a producer's id and of a Stream-Seq
PRODUCER_NUMBER_MAX = 2**53 - 1  # a producer's epoch and sequence: what JavaScript counts exactly
STREAM_TTL_S_MAX = 100 * 366 * 86_400  # a century; longer is for ever
STREAM_TOUCH_PARTS = 10  # a sliding end is written again once a tenth of its time has passed
STREAM_SWEEP_S = 10.0  # between two looks for streams whose time is over
STREAM_SWEEP_MAX = 256  # streams ended by one look
FORK_DEPTH_MAX = 64  # forks of forks; each is one more place to read from
ERASE_NAMES_MAX = 64  # logs erased in one transaction
ERASE_PAUSE_S = 0.2  # deletions that come together are erased together
ERASE_RETRY_S = 5.0  # before erasing is tried again
SUBSCRIPTIONS_MAX = 256  # of one caller; each append is looked at for all of them
SUBSCRIPTION_STREAMS_MAX = 1000  # linked to one subscription; a wake looks at each, 20 ms in all
SUBSCRIPTION_IDLE_S = 60.0  # a subscription without a wake or lease leaves after this
SUBSCRIPTION_TEXT_MAX = 1024  # characters of a pattern, a description, a worker's name
LEASE_MS = (1000, 30_000, 600_000)  # least, default and most (protocol, section 6.2)
WEBHOOK_S = 30.0  # a webhook that has not answered by then has failed
WEBHOOK_BYTES = 64 * 1024  # of a webhook's answer that are read
WEBHOOK_RETRY_MS = (1000, 60_000)  # first and longest pause before a retry (protocol, section 7.1)

# --- tools ---
TOOLS_MAX = 128  # tools a caller may be offered: as many functions as OpenAI takes
TOOLS_BYTES_MAX = 512 * 1024  # of their schemas and descriptions: a model is told all of them
TOOL_ID_CHARS = 400  # of a tool's id: a source, a set and a name
TOOL_SCHEMA_BYTES = 64 * 1024  # of one tool's schema; the largest in use have some 20 kB
TOOL_ARGUMENTS_BYTES = 1024 * 1024  # a document that a tool writes; a job may say no more in a go
SCHEMA_STEPS_MAX = 20_000  # of one check of arguments: some tenths of a second of a thread
SCHEMA_DEPTH_MAX = 100  # of them within each other: half of what Python's stack holds
SCHEMA_STEPS_INLINE = 400  # of them on the loop, some 5 ms; then the check begins on a thread
PATTERN_BYTES = 128 * 1024  # of one expression's program: `.{1,1000}` fits; made in 6 ms at most
PATTERNS_KEPT_MAX = 256  # programs of expressions, those used longest ago leave
PATTERN_STEPS_NEW = 100  # steps that it counts to make one: most are made in 0.1 ms
PATTERN_PLACES_MAX = 4_000_000  # of a program times characters looked at, 0.15 s at worst
PATTERN_PLACES_A_STEP = 400  # take no longer than a step, 15 us, where RE2 is at its slowest
INLINE_ARGUMENTS_BYTES = 64 * 1024  # arguments that are read on the loop
INLINE_RESULT_CHARS = 256 * 1024  # a result that is looked at on the loop: its digest takes 1 ms
UNIQUE_ITEMS_MAX = 100  # a list that is checked for twins: each is compared with each
TOOL_RESULT_BYTES = 128 * 1024  # of a result's words: some 40,000 tokens, a third of a window
TOOL_MEDIA_BYTES = 2 * 1024 * 1024  # of a result's pictures and documents, in base64
TOOL_URL_CHARS = 2000  # of an address that a result tells of
TOOL_ROUNDS_MAX = 32  # how often a job's model may wait for tools; past it the job ends
TOOL_ROUND_CALLS_MAX = 64  # calls of one round; the rest are refused, as results
TOOL_CALLS_MAX = 8  # calls of one job at once
TOOL_CALLS_CALLER_MAX = 32  # calls of one caller at once, over all jobs
TOOL_CALLS_BURST = 100  # calls that a caller makes itself in a go
TOOL_CALLS_PER_SECOND = 20  # and for long: what a person's scripts need, and no flood
TOOL_CLOSE_S = 0.2  # a call that has not stopped by then is left to its source
TOOL_PROGRESS_S = 1.0  # between two words of a call's progress
TOOL_PROGRESS_MAX = 200  # such words of one call
TOOL_PROGRESS_CHARS = 500  # of each
TOOL_QUESTIONS_MAX = 16  # questions to the user by one call
TOOL_QUESTION_CHARS = 2000  # of each
APPROVAL_MS = 24 * 3600 * 1000  # a question that is not answered by then is a no
TOOLS_LIST_S = 10.0  # a source that has not listed its tools by then has none for now

# --- egress ---
UNMETERED_JOBS_MAX = 1024  # answers at once of a provider that costs nothing but our own time
MADE_PARTS_BURST = 64  # parts made here without a pause; then the loop is let go
FIRST_EVENTS = (1, 2, 4)  # of an answer: the others have a turn behind each, to tell the first word
MADE_CHARS_BURST = 64 * 1024  # characters made here without a pause
SYNTHETIC_DELTAS_MAX = 1_000_000  # contract, section 7
SYNTHETIC_CHARS_MAX = 64 * 1024  # of one delta; contract, section 7
SYNTHETIC_INTERVAL_MS_MAX = 60_000  # a longer silence is what `stall` is for
SEED_MAX = 2**32 - 1  # llama.cpp's seeds have 32 bits
OUTPUT_TOKENS_MAX = 1_000_000  # more than any model can say; the model's own limit holds besides
EGRESS_URL_CHARS = 8192  # of a URL; where the usual servers stop reading one
EGRESS_DIALS_MAX = 4  # addresses of one name tried: both families, and one more of each
EGRESS_ORIGINS_MAX = 1024  # origins a client need not look at twice; a connection looks again
EGRESS_REDIRECTS_MAX = 5  # hops of one request; more is a loop or a chase
EGRESS_TOTAL_S = 3600.0  # a request with its whole answer; the longest answers think for minutes
EGRESS_REHEARSAL_S = 10.0  # one URL of `runchat egress check`, with its real look-up
EGRESS_BODY_BYTES = 256 * 1024 * 1024  # of one answer, decoded; four times what a job may say
EGRESS_HELD_BYTES = 64 * 1024  # of a request, until its answer is read for: most are one write
EGRESS_DECODED_BYTES = 64 * 1024  # made of one piece of a coded answer at once: a bomb is met early
UPSTREAM_WHOLE_TIMES = 5  # an answer in one piece has its first byte at its end: 600 s, as the SDKs
UPSTREAM_CONNECT_S = 10.0  # name, connection and handshake of a provider
UPSTREAM_RETRY_S = (0.5, 8.0)  # the longest first pause before a retry, and the longest of all
UPSTREAM_RETRY_AFTER_S_MAX = 60.0  # a provider that wants more is an error: the caller decides
UPSTREAM_AFTER_END_S = 5.0  # usage may come after the end; an end without it is an end too
UPSTREAM_FINISH_S = 0.02  # the end of a body that has said all; later it costs its connection
UPSTREAM_CONNECTIONS_MAX = 256  # of one endpoint
UPSTREAM_KEPT_MAX = 16  # idle ones of one endpoint
UPSTREAM_KEPT_S = 30.0  # most servers close an idle connection after 60 s
UPSTREAM_JOBS_MAX = 64  # answers at once of a configured endpoint that says nothing else
UPSTREAM_EVENT_BYTES = 16 * 1024 * 1024  # one event of a provider; an image of 10 MB in base64
STRANGE_KINDS_MAX = 32  # kinds of an answer's events that nobody here knows and that are kept
UPSTREAM_ERROR_BYTES = 64 * 1024  # of an error's body that are read
UPSTREAM_BODY_BYTES = 16 * 1024 * 1024  # of an answer that does not stream
ERROR_CHARS = 2000  # of a provider's own words in an event
LOCAL_CONTEXT_TOKENS = 2048  # window of local/smollm2: a page of talk, in 210 MB
LOCAL_THREADS = 1  # two threads of the native code that spin are slower than one
CHILD_START_S = 30.0  # a child reads its 98 MB from a cold disk by then
CHILD_CANCEL_S = 0.1  # a child that still talks by then is killed; below PROVIDER_CLOSE_S
CHILD_PAUSE_S = (0.1, 10.0)  # first and longest pause before a child that died starts again
CHILD_LINE_BYTES = 1024 * 1024  # a line of a child holds a token, not a book
LOG_LINE_CHARS = 500  # of a line of somebody else that goes into our log

# --- MCP ---
MCP_IDLE_S = 300.0  # a session that nobody uses ends after this and comes back on demand
MCP_CONNECT_S = 60.0  # a session is open by then; a program that starts first takes its time
MCP_DISCOVER_S = 30.0  # a server that is silent so long is taken for one of an older revision
MCP_SIGN_IN_S = 600.0  # where a person signs in first
MCP_REVOKE_S = 10.0  # an issuer hears within this that somebody has left, or does not
MCP_SIGN_INS_MAX = 1000  # people on their way at once; past it the first of them begin again
MCP_CLOSE_S = 1.0  # a session says goodbye, and a program ends by itself, within this
MCP_KILL_S = 0.5  # between asking a program to end and killing it: together below 2 s
MCP_CALL_S = 120.0  # a call of a tool where nobody says otherwise
MCP_LIST_S = 30.0  # the whole list of tools, all its pages
MCP_PAGES_MAX = 100  # of one list; a list without an end is met early
MCP_TOOLS_MAX = 1000  # of one server; no model chooses among more
MCP_CATALOG_BYTES = 8 * 1024 * 1024  # of one server's tools, as JSON
MCP_FRESH_S = (1.0, 24 * 3600.0)  # least and most that a list is held to be fresh
MCP_LISTEN_S = 5.0  # before a lost subscription to changes is tried again
MCP_CALLS_MAX = 16  # at once in one session; others wait
MCP_CALLS_WAITING_MAX = 256  # past it a call is refused as too many
MCP_FAILURES_MAX = 5  # failed connections in a row that open a session's circuit
MCP_OPEN_S = 30.0  # an open circuit refuses for so long
MCP_PAUSE_S = (0.2, 10.0)  # first and longest pause before a failed connection is tried again
MCP_SILENCE_S = 300.0  # a server may be silent so long in the middle of an answer
MCP_MESSAGE_BYTES = 4 * 1024 * 1024  # of one message: a line, or an event
MCP_BODY_BYTES = 64 * 1024 * 1024  # of one HTTP answer; a stream of changes is one
MCP_TASK_POLL_S = (0.05, 30.0)  # least and most between two questions about a task
MCP_ROUNDS_MAX = 10  # of questions that one call may ask
MCP_OAUTH_S = 30.0  # one request of an authorization, with its answer
MCP_OAUTH_BYTES = 256 * 1024  # of such an answer; metadata takes a few kB
MCP_SERVERS_MAX = 50  # of one person, the operator's too
MCP_HEADERS_MAX = 32  # of one server, and inputs of one server.json
MCP_HEALTH_MAX = 10_000  # sessions whose latest error is remembered
MCP_TOOLS_S = 8.0  # a server that has not listed its tools by then has none in this turn
MCP_CALL_MOST_S = 24 * 3600.0  # a call that waits for a person; the tool call's own time is less
MCP_NONCES_MAX = 8  # origins whose DPoP nonce is remembered: the server, its issuer, and some more

# --- actions ---
ACTION_JSON_BYTES = 64 * 1024 * 1024  # of a document; the largest in use has 47 MB
ACTION_YAML_BYTES = 16 * 1024 * 1024  # of one in YAML, which is read a hundred times slower
ACTION_DEPTH_MAX = 128  # levels of YAML; each takes some of Python's stack, and none has 40
ACTION_ANCHORS_MAX = 10_000  # anchors, and aliases as many
ACTION_NODES_MAX = 5_000_000  # values of a YAML document with its aliases written out
ACTION_HOPS_MAX = 16  # references that lead from one to the next
ACTION_OPERATIONS_MAX = 50_000  # of one document; the largest in use has 22,361
ACTION_PARAMETERS_MAX = 200  # of one operation; a model that fills in more gets them wrong
ACTION_SCHEMA_NODES = 3000  # schemas within one, with its references written out
ACTION_SCHEMA_BYTES = 32 * 1024  # of one action's schema: half of what a tool may have
ACTION_CHOICES_MAX = 500  # of one value; a list of all airports is an example, not a choice
ACTION_WORDS_CHARS = 1024  # of one description
ACTIONS_MAX = 128  # of one set: as many as a caller is offered; who has more names those they want
ACTION_SET_BYTES = 384 * 1024  # of the schemas of a set: a model is told all of them, and others
ACTION_ROWS_MAX = 1000  # operations shown in a preview; a search finds the others
ACTION_IMPORT_S = 60.0  # an import in its child; the largest document in use takes 4 s
ACTION_CHILD_BYTES = 3 * 1024 * 1024 * 1024  # address space of that child: what 64 MB of JSON take
ACTION_RESULT_BYTES = 16 * 1024 * 1024  # of what the child says
ACTION_IMPORTS_MAX = 2  # children at once; others wait
ACTION_SERVERS_MAX = 50  # of one document
ACTION_CALL_S = 45.0  # a call where nobody says otherwise: what other hosts of actions give one
ACTION_ANSWER_BYTES = 1024 * 1024  # of an answer that is read; a model is told less
ACTION_SETS_MAX = 16  # of one person: who names no tool has all read, 6 MB at most, some 10 ms

# --- ingress: Runchat as an MCP server ---
MCP_SERVED_MAX = 512  # sessions of all callers; their replays are 128 MB when all are full
MCP_SERVED_PER_CALLER_MAX = 32  # past it the one that was not used for longest makes room
MCP_SERVED_IDLE_S = 1800.0  # a session without a request or an open stream ends after this
MCP_SERVED_REQUESTS_MAX = 64  # under way for one caller; open streams count, too
MCP_REPLAY_EVENTS_MAX = 1000  # of one session, for a client that lost its connection
MCP_REPLAY_BYTES = 256 * 1024  # of one session; the newest event is kept whatever its size
MCP_RETRY_MS = 1000  # a client whose stream broke comes back after this
MCP_SHELF_FRESH_MS = 10_000  # a list of tools may be kept so long; who installs one sees it soon
MCP_POLL_MS = 500  # between two looks at a task
MCP_SERVED_CHARS = 128 * 1024  # of one result: no model reads more; the rest is at its own address
MCP_PROGRESS_CHARS = 2000  # of an answer's words in one notice of progress
SEARCH_CHARS_MAX = 500  # of what is searched for
SEARCH_BYTES = 16 * 1024 * 1024  # of messages looked through in one search, 50 ms; more goes on
SEARCH_BURST_MESSAGES = 8  # read at once, each as long as an answer may be; then the loop is let go
SEARCH_EXCERPT_CHARS = 240  # shown round a hit

# --- ingress: connections ---
CONNECTIONS_MAX = 4096  # open at once; 2,000 idle readers and room to answer everybody else
HEADER_BYTES_MAX = 16 * 1024  # a request's header; past it 431
BODY_BYTES_MAX = 8 * 1024 * 1024  # a request's body (contract, section 2)
BODY_S = 60.0  # a body that takes longer is a client that has stopped sending
KEEP_ALIVE_S = 30.0  # a connection may be idle, or in the middle of a header, for so long
REQUESTS_PER_CONNECTION_MAX = 1_000_000  # so that a busy client is not sent away
TLS_HANDSHAKE_S = 10.0
H2_STREAMS_MAX = 100  # requests at once on one HTTP/2 connection (RFC 9113, section 6.5.2: >= 100)
WRITE_BYTES = 16 * 1024  # what is written at once over TLS: one record, so that progress is seen
READER_STALL_S = 30.0  # a client that takes no byte for so long is cut; its cursor stays good
LATE_BODY_S = 0.1  # a refusal waits so long for the rest of its request
LINGER_S = 1.0  # reading on after an early answer, so that the client gets to see it
END_S = 2.0  # answers under way when the service stops have so long to finish

SOCKET_MESSAGES_MAX = 16  # of a WebSocket that wait; past it the socket is not read
SOCKET_RESPONSES_MAX = 64  # of a WebSocket that are not stored and may be gone on from
SOCKET_PING_S = 20.0  # between two pings of a WebSocket, which keep a proxy from closing it

# --- ingress: streams ---
RETRY_MS = 2000  # what a browser waits before it connects again
OPENING_BYTES = 2048  # comment that opens a stream: some clients hold back the first bytes
PUMP_WRITES = 64  # sockets a pump writes to in a turn, about a millisecond; then others run
HEARTBEAT_S = 15.0  # silence after which a comment is sent (contract, section 3)
RECHECK_S = 45.0  # authorization of an open stream is looked at again; the contract says 60 s
STREAMS_PER_CALLER_MAX = 4000  # open streams of one caller; a bench opens 2,000
FEED_STREAMS_MAX = 32  # streams one feed follows
WAIT_S_MAX = 30  # a long poll
ROTATE_S = 60.0  # a Durable Streams event stream ends after this, and its reader comes back
LONG_POLL_S = 20.0  # a Durable Streams long poll, unless the settings say otherwise
CURSOR_S = 20  # a Durable Streams cursor counts these (protocol, section 10.1)
CURSOR_JITTER_S = 3600  # and leaps by up to this past one that a client has seen
LOG_LIMIT = 500  # events a JSON page holds where the caller does not say
LOG_LIMIT_MAX = 1000
LOG_PAGE_BYTES = 1024 * 1024  # a JSON page ends past this, however many events were asked for
LIST_LIMIT = 25
LIST_LIMIT_MAX = 100
HEADER_VALUE_MAX = 128  # characters of an idempotency key and of a request's own id

# --- ingress: command line ---
CLI_ANSWER_S = 60.0  # an answer that takes longer is none; a start of the embedded model fits
CLI_SILENCE_S = 45.0  # three heartbeats missed: the connection is dead
CLI_PATIENCE_S = 60.0  # a service that is gone may come back within this; a restart takes a second
CLI_FIRST_S = 5.0  # a url where nobody has answered yet is likely wrong; a restart takes a second
CLI_RETURN_S = 15.0  # somebody's service is being restarted; later one of our own is started
CLI_QUIET_S = 1.0  # a person is told of a loss that lasts longer
CLI_PAUSE_S = (0.05, 1.0)  # first and longest pause before a lost service is looked for again
CLI_START_S = 30.0  # a service of our own is ready by then, on the slowest of machines
CLI_END_S = 30.0  # a service of our own ends by then: its grace of 10 s, and what comes after it
CLI_TITLE_CHARS = 80  # of a conversation's first question, as its title
CLI_NAME_CHARS_MAX = 128  # of a tenant, a user, a token's name
CLI_EXPIRES_S_MAX = 10 * 366 * 86_400  # a token that is to live longer may live for ever
SPINNER_FRAME_S = 0.1
