"""What the process promises: CONTRACT.md section 1."""

SOURCE = "CONTRACT.md section 1"

PROMISES = {
    # serve
    "process.free-port": "Port 0 binds a free port, which the ready line names.",
    "process.ready-line": (
        "With --announce json exactly one line stands on stdout: ready, url, pid and version."
    ),
    "process.ready-accepts": "Once the ready line is printed, connections are accepted.",
    "process.ready-in-time": "The ready line comes within 5 s on a folder with a large log.",
    "process.logs-on-stderr": "Logs go to stderr, as structured lines with request and job ids.",
    "process.logs-hold-no-secrets": "No log line holds a token, a cookie or what a user wrote.",
    "process.exit-with-parent": "With --exit-with-parent the service ends cleanly on stdin's end.",
    # the data folder
    "folder.one-owner": "A second serve on one folder exits 3 and names the holder's url.",
    "folder.lock-dies-with-owner": "The folder of a service killed with SIGKILL opens again.",
    "folder.service-file": "service.json holds url, pid and version, and only its user reads it.",
    "folder.found-by-service-file": "Other commands find the service by its service.json.",
    "folder.only-serve-migrates": "Commands but serve refuse a folder of another schema.",
    "folder.older-is-migrated": "An older database is backed up first, and then migrated.",
    "folder.newer-is-refused": "A newer database is refused clearly and left as it was.",
    "folder.network-refused": "A data folder on a network filesystem is refused.",
    "folder.read-only": "A read-only data folder is a clear error at start.",
    "folder.disk-full": "A full disk is a clear refusal that loses nothing and heals.",
    # the first start and signing in
    "signin.first-token": "The first start leaves a working admin token in DIR/token, mode 0600.",
    "signin.link-on-terminal": "On a terminal one sign-in link is printed on stderr.",
    "signin.cookie": "The link is 303 to /, no-store, no referrer, an HttpOnly Strict cookie.",
    "signin.single-use": "A sign-in code works once.",
    "signin.code-expires": "A sign-in code is dead after 5 minutes.",
    "signin.session-survives-restart": "A session is alive after a restart of the service.",
    "signin.session-slides": "A session ends 30 days after its last use.",
    "signin.session-hashed": "The database holds a session's hash and not the session.",
    "signin.sign-out": "DELETE /api/session ends the session.",
    "signin.link-command": "`runchat link` prints another working link.",
    "signin.cookie-wants-origin": (
        "An unsafe method by cookie wants an Origin of the same scheme, host and port."
    ),
    # tokens
    "tokens.create": "`token create` makes tenant and user where new; the token is the last word.",
    "tokens.live": "A token made beside a running service is effective at once.",
    "tokens.hashed": "The database holds a token's hash and not the token.",
    "tokens.list": "`token list` prints a line each: id, tenant, user, created, last used, expiry.",
    "tokens.revoke": "A revoked token is refused at once by the running service.",
    "tokens.expire": "A token past its --expires is refused.",
    # the other commands
    "chat.one-answer": "chat with a prompt prints the answer alone on stdout and exits 0.",
    "chat.failed": "chat exits 1 when the job failed.",
    "chat.usage": "chat exits 2 on a wrong command line.",
    "chat.aborted": "Ctrl-C aborts the job, and chat exits 130.",
    "chat.json": "chat --json prints the answer as JSON.",
    "chat.conversation": "chat without a prompt is a conversation of several questions.",
    "chat.starts-a-service": "chat starts a service where none runs, which ends with it.",
    "chat.racing-starters": "Racing starters share the winner's service.",
    "chat.survives-restart": "chat goes on after a restart: no word missing or doubled.",
    "chat.credentials": "With --url the token comes from --token-file or RUNCHAT_TOKEN.",
    "cli.jobs": "`runchat jobs` lists the caller's jobs.",
    "cli.tail": "`runchat tail JOB` prints a job's events to its end.",
    "cli.abort": "`runchat abort JOB` aborts a job.",
    "cli.models": "`runchat models` and `runchat endpoints` name what can be asked and what holds.",
    "backup.while-running": "A backup of a running service is consistent.",
    "backup.restore": "restore makes a new folder that holds all jobs and events of the backup.",
    "backup.names-what-it-lacks": "backup says that it holds no keys.",
    # settings
    "settings.sources": "A setting comes from RUNCHAT_SECTION__NAME, else from TOML.",
    "settings.unknown-name": "An unknown setting is an error that says which.",
    "settings.table": "The README's table of settings is the one made from the code.",
    "settings.loopback": "A non-loopback bind without TLS or --behind-proxy is refused.",
    "settings.tls": "With tls_cert and tls_key the service speaks TLS, HTTP/1.1 and h2.",
    "settings.forwarded": "Forwarded headers are read from trusted_proxies alone.",
    # ending
    "shutdown.refuses-new-jobs": "After SIGTERM a new job is 503 with Retry-After.",
    "shutdown.streams-end-cleanly": "At shutdown open streams get retry: and end cleanly.",
    "shutdown.grace": "A job that ends within shutdown_grace_s ends as it would have.",
    "shutdown.interrupts": "A job that outlasts the grace ends interrupted.",
    "shutdown.stuck-reader": "Exit 0 within grace + 5 s with a client that has stopped reading.",
    "kill.loses-nothing-seen": "After SIGKILL every event that was visible is in the log.",
    "commit.survives-power-cut": "A power cut loses no acknowledged event and corrupts no store.",
    "kill.no-child-left": "After SIGKILL no child process is left after 2 s.",
    "recovery.interrupted": (
        "At the next start, before the port opens, a started job without an end gets interrupted."
    ),
    "recovery.queued-go-on": "At the next start queued jobs go on in order.",
    # the harness
    "harness.setup": "setup makes .venv with everything locked, and the second time does nothing.",
    "harness.old-python": "An old Python gets a sentence and no traceback.",
    "harness.disk-full": "setup on a full disk says how much is needed.",
    "harness.serve-as": "serve-as takes every request as one caller, with synthetic allowed.",
    "harness.no-auth-switch": "The product has no switch that turns authentication off.",
    "harness.wheel": "The wheel ships every folder but specs, and the page's files.",
}
