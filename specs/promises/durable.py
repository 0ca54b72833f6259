"""What the Durable Streams door promises: CONTRACT.md section 5."""

SOURCE = "CONTRACT.md section 5"

PROMISES = {
    "durable.create": "PUT makes a stream (201), confirms the same (200), refuses another (409).",
    "durable.append": "POST appends, closes, or both at once; a closed stream takes nothing more.",
    "durable.as-it-came": "Records are kept and read as the bytes that came, in order.",
    "durable.offsets": "Offsets sort as text, resume exactly, and one that is none is 400.",
    "durable.json-mode": "A JSON array is its elements, one level deep; what is no JSON is 400.",
    "durable.head": "HEAD says content type, end, life and closure, and puts off nothing.",
    "durable.catch-up": "GET brings all from an offset, and says whether that is the end.",
    "durable.etag": "An ETag changes with data and closure; the same is 304.",
    "durable.long-poll": "A long poll brings what comes, 204 in its time, and 204 at the end.",
    "durable.sse": "An event stream pairs data with control, and ends with its stream.",
    "durable.event-source": "A browser comes back by its last id, and at the end gets 204.",
    "durable.producers": "A repeated append of a producer happens once, a fenced or gapped never.",
    "durable.producers-restart": "A producer's retry after a killed service happens once.",
    "durable.ttl": "A stream ends in its time; each use but HEAD puts off a sliding end.",
    "durable.forks": "A fork inherits, goes its own way, and outlives its source.",
    "durable.delete": "DELETE takes a stream away; one with forks is 410 until they are gone.",
    "durable.erased": "The records of a deleted stream are erased, with an audit entry.",
    "durable.audited": "Whatever is accepted is audited, or does not happen.",
    "durable.own-paths": "Paths are per caller: another's is 404, the same name another stream.",
    "durable.reserved": "jobs/ and __ds/ are reserved: 403.",
    "durable.job-log": "A job's log is read at jobs/{id}, the same bytes, and never written.",
    "durable.preflight": "A preflight on a stream is answered for any origin, no credentials.",
    "durable.pull-wake": "A subscription wakes by a stream, is claimed, acknowledged, released.",
    "durable.fenced": "What is not of the present wake moves nothing: 409 FENCED, 401.",
    "durable.webhook": "A webhook gets signed wakes, and acknowledges by done or by calling back.",
    "durable.webhook-refused": "Webhooks are off unless set, and never on private addresses.",
}
