-- What a front asked of a model in a caller's own words: a job's input beside its conversation's

ALTER TABLE conversation ADD COLUMN kind TEXT NOT NULL DEFAULT 'talk';

CREATE INDEX conversation_by_kind ON conversation (tenant, user, kind, id);

CREATE TABLE turn (
    job_id TEXT PRIMARY KEY REFERENCES job (id),
    front TEXT NOT NULL,
    previous TEXT,
    thread TEXT,
    asked BLOB NOT NULL,
    input BLOB NOT NULL,
    shown BLOB NOT NULL,
    deleted_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- A conversation of the front, with the items that were put there and the ones taken out (no value)
CREATE TABLE thread (
    id TEXT PRIMARY KEY REFERENCES conversation (id),
    metadata BLOB NOT NULL,
    deleted_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE thread_item (
    thread TEXT NOT NULL REFERENCES thread (id),
    id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    value BLOB,
    PRIMARY KEY (thread, id)
) STRICT, WITHOUT ROWID;
