-- Actions that a person made from a document of an API, and what an issuer gave them; all sealed

CREATE TABLE action_set (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    settings BLOB NOT NULL,
    actions BLOB NOT NULL,
    sealed BLOB,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE action_grant (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, name)
) STRICT, WITHOUT ROWID;
