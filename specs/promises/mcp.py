"""What the MCP client promises."""

SOURCE = "CONTRACT.md section 1; ARCHITECTURE.md laws 6, 7 and 12; MCP 2026-07-28 and 2025-11-25"

PROMISES = {
    "mcp.http": "A server's tools are listed and called over streamable HTTP, guarded.",
    "mcp.guarded": "A server in a private network is refused unless its place is exempt.",
    "mcp.stdio": "A program's tools are listed and called over its pipes.",
    "mcp.clean-environment": "A program gets what was configured, and nothing of the service's.",
    "mcp.no-child-left": "A program and what it started are gone with its session or the service.",
    "mcp.own-calls": "A server that hangs or crashes costs its own calls, and is opened again.",
    "mcp.single-flight": "Whoever waits for a session or a list waits for the same one.",
    "mcp.catalog": "A tool has a version; a call that was decided by another is refused.",
    "mcp.bounded": "A list without an end, or too large, is refused by name.",
    "mcp.circuit": "A server that cannot be reached is left alone for a while, and said so.",
    "mcp.dpop": "A bound token is presented with a fresh proof, with the nonce that is wanted.",
    "mcp.grants": "Tokens are sealed for their person, server and issuer, and audited.",
}
