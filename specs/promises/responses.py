"""What OpenAI's Responses API does here (contract, sections 2, 6 and 7)."""

SOURCE = "CONTRACT.md section 6"

PROMISES = {
    "responses.create": "POST /v1/responses answers whole, as events, or in the background.",
    "responses.valid": "Every answer and event fits Open Responses and OpenAI's own models.",
    "responses.terminal-is-get": "The terminal event is committed first; GET equals it by byte.",
    "responses.kill": "After kill -9 a stored response reads as before, a broken one as failed.",
    "responses.starting-after": "GET as a stream goes on after any number, for its whole life.",
    "responses.cancel": "A cancel or a client that leaves closes the upstream within 250 ms.",
    "responses.delete": "A deleted response is absent, and nothing goes on from it.",
    "responses.foreign": "Another's response or conversation is absent: 404.",
    "responses.input-items": "Input items are listed in pages, in either order.",
    "responses.compact": "A compacted conversation is gone on from by what was given back.",
    "responses.input-tokens": "An input's tokens are estimated without asking a model.",
    "responses.chain": "previous_response_id tells the next provider the whole branch.",
    "responses.conversations": "A conversation keeps items, and responses are said in it.",
    "responses.store-false": "Without store nothing is on disk, and a key's record is a digest.",
    "responses.websocket": "A WebSocket answers one response.create after the other.",
    "responses.tools": "Function tools pass through; what is hosted elsewhere is refused.",
    "responses.errors": "Errors on OpenAI's paths have its shape, with the param that is wrong.",
    "responses.idempotent": "One key begins one response, which is answered alike again.",
    "responses.projection": "A stream's events are a function of the log and add up to the answer.",
    "turns.fit": "A prompt fits its window: system and newest kept, tool pairs never split.",
    "echo.tools": "echo calls a tool with the question, and says back what it answered.",
}
