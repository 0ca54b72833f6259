"""What tools in a conversation promise."""

SOURCE = "CONTRACT.md sections 3 and 4; ARCHITECTURE.md laws 2, 3, 6, 7, 11 and 12"

PROMISES = {
    "tools.names": "Each tool has a name that every vendor takes; none takes another's.",
    "tools.own-sources": "A source that fails or does not answer costs its own tools.",
    "tools.bounded": "Tools beyond the bounds, or of a schema nobody can ask for, are left out.",
    "tools.loop": "A model's calls are made, and it is asked again with their results.",
    "tools.bad-calls": "A call that cannot be made is told the model as a result, and not made.",
    "tools.failures": "A tool's failure is a result for the model, never the end of the job.",
    "tools.timeout": "A call ends in its tool's time, and what came of it is said to be unknown.",
    "tools.cut": "A result that is too long is cut, and says how much of it there was.",
    "tools.rounds": "A model that does not stop calling is stopped, with an end that says so.",
    "tools.cancelled": "An abort or a replacement cancels the calls that run.",
    "tools.chosen": "A job has the tools that it names, and none where it names none.",
    "tools.kept": "A crash repeats no call, and takes back nothing that tools have answered.",
    "approvals.asked": "A tool that asks is called after a human's yes, which the log holds.",
    "approvals.once": "A question is answered once; again is refused, and says how it went.",
    "approvals.expire": "A question that nobody answers is a no in the end.",
    "approvals.foreign": "Nobody else can answer a question, or see that it is there.",
    "approvals.questions": "A tool may ask the user, who answers by its schema, or not.",
    "approvals.survive": "A job that waits for a human goes on after a restart.",
    "direct.list": "A caller sees the tools that it may call, with their schemas.",
    "direct.call": "A call without a model is a job with a log of its own.",
    "direct.idempotent": "A call with a key is made once.",
    "direct.refused": "A call that cannot be made is refused before anything happens.",
    "direct.rate": "Calls beyond a caller's allowance are told to wait.",
    "direct.evidence": "Whoever chooses to call, the evidence is the same.",
    "replay.tools": "A job with tools is the same again, with what they had answered.",
    "tools.evidence": "A call leaves a row before it is made, settled once after, then unchanging.",
    "tools.unknown": "What a dead process was calling is settled as unknown, and listed.",
}
