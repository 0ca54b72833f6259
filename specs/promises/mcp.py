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
    "mcp.servers.add": "A server that a person adds has its tools at once, each asked for.",
    "mcp.servers.own": "A person's server is absent to everybody else.",
    "mcp.servers.sealed": "A server's secrets are kept sealed and never come back.",
    "mcp.servers.moved": "Another address wants every secret again and forgets the sign-in.",
    "mcp.servers.remove": "A server that is turned off or removed has no tools.",
    "mcp.servers.approve": "A tool that a person lets run is asked for again once it has changed.",
    "mcp.servers.settled": "The operator's server is everybody's, by the operator's policy.",
    "mcp.servers.guarded": "A person's server is HTTP, guarded, and gets nothing of the service.",
    "mcp.servers.audited": "A change of a server that cannot be audited does not happen.",
    "mcp.servers.has": "A server's resources and prompts are listed and read.",
    "mcp.install": "A server.json is installed, with all that it asks for, or refused by name.",
}
