"""What every request and answer promises: CONTRACT.md section 2, and the frozen documents (W0)."""

SOURCE = "CONTRACT.md section 2"

PROMISES = {
    # who asks
    "http.no-token": "No, unknown, expired or revoked token: 401 with WWW-Authenticate: Bearer.",
    "http.foreign-is-absent": (
        "Another tenant's or user's thing is 404, identical to a thing that never was."
    ),
    "http.host": "A wrong Host is 421 host-not-allowed.",
    "http.origin": "A foreign Origin is 403 origin-not-allowed.",
    "http.cors": "An Origin of cors_origins is let in with a bearer token, and not with a cookie.",
    "http.admin-only": "What is for admins only is 404 to others.",
    # refusals
    "http.problem": "Every error is application/problem+json with type, title, status and detail.",
    "http.problem-instance": "A problem's instance is urn:request: and the X-Request-Id.",
    "http.bad-json": "A body that is no JSON is 400.",
    "http.wrong-fields": "Well-formed but wrong is 422 with a pointer and a detail for each error.",
    "http.unknown-field": "An unknown field is 422 and is named.",
    "http.odd-text": "NUL and lone surrogates in text are refused or kept exactly, never a 500.",
    "http.wrong-media-type": "A wrong media type is 415.",
    "http.too-large": "A body over 8 MiB is 413, and what follows it is not misread.",
    "http.wrong-method": "A wrong method is 405 with Allow.",
    "http.not-acceptable": "An Accept that cannot be met is 406.",
    "http.busy": "429 and 503 carry Retry-After.",
    "http.unknown-path": "An unknown path is 404 as a problem.",
    "http.no-html-no-stack": "No answer to a bug or a bad request holds HTML or a stack.",
    "http.oversized-header": "Oversized headers are 431 or 400 with an empty body and a close.",
    "http.slow-client": "A client of one byte a second, or half open, holds up nobody else.",
    "http.refusals-documented-once": (
        "401, 404, 405, 413, 415, 422, 429 and 503 are proved over all routes by one table."
    ),
    # headers
    "http.request-id": "Every answer carries X-Request-Id.",
    "http.traceparent": "traceparent is accepted and passed on.",
    # idempotency
    "idempotency.replay": "A second POST with one key gets the first answer verbatim, marked.",
    "idempotency.scope": "A key belongs to one caller, method and path.",
    "idempotency.conflict": "One key with another body is 422 idempotency-conflict.",
    "idempotency.concurrent": "Of concurrent POSTs with one key one acts; the others wait.",
    "idempotency.restart": "A key is kept across a restart.",
    "idempotency.expiry": "A key is free again after 24 hours.",
    "idempotency.refusal-frees": "A refusal frees its key.",
    "idempotency.length": "A key that is empty or longer than 128 characters is 422.",
    # lists and forms
    "lists.limit": "?limit= is 1 to 100, default 25, else 422.",
    "lists.cursor": "Pages by cursor, newest first, hold every item once, and end with null.",
    "lists.bad-cursor": "A cursor that was not given out is 422.",
    "forms.times": "Times are RFC 3339 UTC with milliseconds.",
    "forms.ids": "Ids have their prefix and sort by time.",
    # health
    "health.open": "GET /api/health answers status and version without a token.",
    "health.actors": "An admin sees the tree: mailbox depths and lives of every actor.",
    "health.metrics": "GET /metrics is Prometheus text with no tenant, user or job in a label.",
    # audit
    "audit.same-transaction": "Every accepted mutation has its audit entry in its transaction.",
    "audit.fail-closed": "What cannot be audited is 503 audit-unavailable, and has not happened.",
}

FROZEN_SOURCE = "CONTRACT.md, its first paragraph"

FROZEN = {
    "contract.openapi": "specs/contract/openapi.json is the one that the routes make.",
    "contract.events": "specs/contract/events.schema.json is the one that the dataclasses make.",
    "contract.golden-logs": "The golden log of every released schema folds as it did.",
    "contract.routes-proved": "Every mounted route, method and documented status is exercised.",
}
