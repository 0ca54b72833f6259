CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant (
    name TEXT PRIMARY KEY,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE user (
    tenant TEXT NOT NULL REFERENCES tenant (name),
    name TEXT NOT NULL,
    admin INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    last_used_at_ms INTEGER,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER,
    FOREIGN KEY (tenant, user) REFERENCES user (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    last_used_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    FOREIGN KEY (tenant, user) REFERENCES user (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE signin_code (
    digest TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    FOREIGN KEY (tenant, user) REFERENCES user (tenant, name)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the id of an erased stream is never given to another
CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    ended INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE event (
    stream INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (stream, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversation (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX conversation_of_user ON conversation (tenant, user, id);

CREATE TABLE job (
    id TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversation (id),
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    model TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    options BLOB NOT NULL,
    superseded_by TEXT,
    created_at_ms INTEGER NOT NULL,
    started_at_ms INTEGER,
    ended_at_ms INTEGER,
    result BLOB,
    UNIQUE (conversation_id, ordinal)
) STRICT;

CREATE INDEX job_of_user ON job (tenant, user, id);
CREATE INDEX job_of_user_by_status ON job (tenant, user, status, id);
CREATE INDEX job_in_work ON job (status, conversation_id, ordinal)
WHERE status IN ('queued', 'running');

CREATE TABLE message (
    id TEXT PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversation (id),
    job_id TEXT NOT NULL REFERENCES job (id),
    role TEXT NOT NULL,
    parts BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    position INTEGER NOT NULL,
    UNIQUE (conversation_id, position)
) STRICT;

CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, method, path, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (created_at_ms);

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT NOT NULL
) STRICT;

CREATE INDEX audit_of_tenant ON audit (tenant, sequence);

-- Streams and events: in order, nothing after the end, nothing changed, erased as a whole.
-- `erasing` is a function: 0 on every connection but the eraser's, missing on foreign ones.

CREATE TRIGGER event_in_order BEFORE INSERT ON event
WHEN (SELECT ended FROM stream WHERE id = NEW.stream) IS NOT 0
    OR NEW.sequence IS NOT 1 + COALESCE(
        (SELECT MAX(sequence) FROM event WHERE stream = NEW.stream), 0
    )
BEGIN SELECT RAISE(ABORT, 'an event continues a stream that has not ended'); END;

CREATE TRIGGER event_kept BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'an event never changes'); END;

CREATE TRIGGER event_stays BEFORE DELETE ON event
WHEN EXISTS (SELECT 1 FROM stream WHERE id = OLD.stream)
BEGIN SELECT RAISE(ABORT, 'events leave with their whole stream only'); END;

CREATE TRIGGER stream_new BEFORE INSERT ON stream
WHEN EXISTS (SELECT 1 FROM stream WHERE id = NEW.id OR name = NEW.name) OR NEW.ended IS NOT 0
BEGIN SELECT RAISE(ABORT, 'a stream is made once'); END;

CREATE TRIGGER stream_kept BEFORE UPDATE ON stream
WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name OR NEW.tenant IS NOT OLD.tenant
    OR NEW.owner IS NOT OLD.owner OR OLD.ended IS NOT 0 OR NEW.ended IS NOT 1
BEGIN SELECT RAISE(ABORT, 'a stream ends once and changes in nothing else'); END;

CREATE TRIGGER stream_stays BEFORE DELETE ON stream
WHEN erasing(OLD.id) IS NOT 1
BEGIN SELECT RAISE(ABORT, 'a stream leaves by store/erase.py only'); END;

CREATE TRIGGER stream_erased AFTER DELETE ON stream
BEGIN DELETE FROM event WHERE stream = OLD.id; END;

CREATE TRIGGER audit_in_order BEFORE INSERT ON audit
WHEN NEW.sequence IS NOT 1 + COALESCE((SELECT MAX(sequence) FROM audit), 0)
BEGIN SELECT RAISE(ABORT, 'audit entries are numbered without a gap'); END;

CREATE TRIGGER audit_kept BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'an audit entry never changes'); END;

CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'an audit entry never leaves'); END;
