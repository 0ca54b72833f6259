-- MCP servers that a person added for themselves; their secrets sealed

CREATE TABLE mcp_server (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    settings BLOB NOT NULL,
    sealed BLOB,
    created_at_ms INTEGER NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, name)
) STRICT, WITHOUT ROWID;
