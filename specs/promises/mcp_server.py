"""What Runchat promises as an MCP server."""

SOURCE = "CONTRACT.md section 2; ARCHITECTURE.md laws 5, 7, 10 and 12; MCP 2026-07-28, 2025-11-25"

PROMISES = {
    "mcp-server.tools": "Conversations are listed, read and asked as tools, on both revisions.",
    "mcp-server.search": "A search finds words in the caller's titles and messages, in any case.",
    "mcp-server.tenants": "What is another tenant's does not exist, a session's id included.",
    "mcp-server.gate": "Host, Origin, credential and body are judged as everywhere.",
    "mcp-server.own-tools": "The caller's tools are called as jobs, with approval and evidence.",
    "mcp-server.audited": "A question is audited with its first write, or does not happen.",
    "mcp-server.abort": "A client that leaves a question ends its job.",
    "mcp-server.tasks": "A question is a task where the client knows tasks; its id is the job's.",
    "mcp-server.resumption": "A client that lost its stream hears what it missed, each once.",
    "mcp-server.sessions": "Sessions are bounded, their caller's, and end with the service.",
    "mcp-server.honest": "What did not succeed is told as an error, with its reason.",
}
