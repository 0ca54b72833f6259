-- Streams of the Durable Streams protocol: what each needs beside its log (`streams/<id>` in `stream`)

CREATE TABLE durable_stream (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    path TEXT NOT NULL,
    content_type TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    ttl_s INTEGER,
    expires_at_ms INTEGER,
    inherits_expiry INTEGER NOT NULL,
    source TEXT,
    source_path TEXT,
    fork_sequence INTEGER NOT NULL,
    fork_anchor INTEGER NOT NULL,
    fork_sub INTEGER NOT NULL,
    forks INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    last_seq TEXT,
    closed_by TEXT,
    UNIQUE (tenant, user, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX durable_stream_by_expiry ON durable_stream (expires_at_ms)
WHERE expires_at_ms IS NOT NULL AND deleted = 0;

CREATE TABLE producer (
    stream TEXT NOT NULL,
    id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (stream, id)
) STRICT, WITHOUT ROWID;

-- Logs that nobody can reach any more, waiting for store/erase.py
CREATE TABLE doomed_stream (
    name TEXT PRIMARY KEY,
    tenant TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    pattern TEXT,
    webhook_url TEXT,
    wake_stream TEXT,
    lease_ttl_ms INTEGER NOT NULL,
    description TEXT,
    digest TEXT NOT NULL,
    origin TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    incarnation TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    wake_id TEXT,
    holder TEXT,
    lease_until_ms INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    next_attempt_at_ms INTEGER,
    PRIMARY KEY (tenant, user, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscription_stream (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    subscription TEXT NOT NULL,
    path TEXT NOT NULL,
    explicit INTEGER NOT NULL,
    globbed INTEGER NOT NULL,
    stream TEXT,
    acked INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, subscription, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_key (
    name TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
