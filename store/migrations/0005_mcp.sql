-- What a person may do at an MCP server: registration and tokens by issuer, sealed

CREATE TABLE mcp_grant (
    tenant TEXT NOT NULL,
    user TEXT NOT NULL,
    server TEXT NOT NULL,
    issuer TEXT NOT NULL,
    sealed BLOB NOT NULL,
    changed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, server, issuer)
) STRICT, WITHOUT ROWID;
