"""What a person and the service do at MCP servers whose issuer is a real one."""

from __future__ import annotations

from harness.oauth.stage import Stage
from harness.oauth.tally import same


async def sign_in_and_call(stage: Stage) -> None:
    """A server is added, ann signs in, a tool is called through a job."""
    name = await stage.add()
    same("the state before", await stage.state(name), "idle")
    await stage.signed_in(name)
    job = await stage.call(f"mcp/{name}/echo", text="lit")
    same("the job", (job["status"], "lit" in str(job)), ("completed", True))


SCENARIOS = {
    "sign in and call a tool through a job": sign_in_and_call,
}
