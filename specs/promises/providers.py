"""What an endpoint of a vendor promises: CONTRACT.md section 4, and the laws 9, 10 and 12."""

SOURCE = "CONTRACT.md section 4"

PROMISES = {
    "providers.fidelity": "A recorded stream is read as the vendor's own SDK reads it, or better.",
    "providers.framing": "How bytes are split and lines are ended changes nothing.",
    "providers.cut": "A stream that is cut is never a finished answer, and what came is kept.",
    "providers.again": "A failure before the first word is asked again, and nothing later is.",
    "providers.retry-after": "What a provider says to wait is waited, up to a bound.",
    "providers.timeouts": "Each endpoint's waits are its own, and the end says which one it was.",
    "providers.let-go": "An abort closes the connection at once, and known usage is kept.",
    "providers.rebuilt": "What a model said goes back to it as the bytes that came.",
    "providers.foreign": "Another model is not told what only the first can read, and it is noted.",
    "providers.accepted": "The vendors' published request types accept every request we send.",
    "providers.sdks": "OpenAI, Anthropic and Google are asked by what their SDKs build and sign.",
    "providers.facts": "What is known of a model is shown, and what is not is null.",
}
