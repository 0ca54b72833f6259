"""What the fronts beside the Responses API do: Chat Completions, and the AI SDK's stream."""

SOURCE = "CONTRACT.md section 6"

PROMISES = {
    "chat.completions.create": "POST /v1/chat/completions answers whole, or as chunks.",
    "chat.completions.fold": "The chunks of a log add up to the answer that is given whole.",
    "chat.completions.valid": "Every completion and chunk fits OpenAI's own models.",
    "chat.completions.usage": "The last chunk tells the usage where it is asked for and known.",
    "chat.completions.tools": "Function tools pass through, and their answers go back.",
    "chat.completions.reasoning": "Thoughts are reasoning_content; their state goes back by byte.",
    "chat.completions.honest": "What broke off or failed is an error, never a finish_reason.",
    "chat.completions.errors": "What is wrong or not offered is refused with its param.",
    "chat.completions.memory": "A completion leaves nothing on disk unless store asks for it.",
    "chat.completions.leave": "A client that leaves closes the upstream within 250 ms.",
    "chat.completions.idempotent": "One key begins one completion, which is answered alike again.",
    "ui.stream": "POST /api/chat answers useChat with a UI message stream, version 1.",
    "ui.fold": "The parts of a log add up to its items, and to the same wherever it is cut.",
    "ui.tools": "The client's tools are called, and what they answer goes back.",
    "ui.resume": "GET gives the answer under way from its start; 204 where nothing is answered.",
    "ui.honest": "What broke off ends in an error, what was ended in abort, never in finish.",
    "ui.replace": "A newer request, or DELETE, ends the answer under way in a chat.",
    "fronts.clients": "Real clients over loopback see text, tools, reasoning and usage.",
    "models.openai": "GET /v1/models lists the models as OpenAI's API does.",
}
