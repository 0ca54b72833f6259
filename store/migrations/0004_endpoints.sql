-- Endpoints that an admin added, their keys sealed, and an operator's own word on models

CREATE TABLE endpoint (
    name TEXT PRIMARY KEY,
    settings BLOB NOT NULL,
    sealed_key BLOB,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint_profile (
    name TEXT PRIMARY KEY,
    profile BLOB NOT NULL,
    probed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE model_facts (
    model TEXT PRIMARY KEY,
    facts BLOB NOT NULL,
    changed_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
