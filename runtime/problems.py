"""Every error raised on purpose, as one small tree, by who must act.

Refused: the caller changes something. Busy: the caller tries again. Upstream: a vendor or a tool
failed; inside a job it becomes an event. Anything else is a bug, which only a supervisor and the
last handler catch. Only `transports.ingress.http.problems` makes bytes of these. Source: RFC 9457.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar


class Problem(Exception):
    """Base of all deliberate errors. Raise a subclass, never this."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extensions: Any) -> None:
        """Say what went wrong in a sentence that reveals nothing the caller may not know.

        Args:
            extensions: further members of the problem document, JSON values.
        """
        super().__init__(detail)
        self.detail = detail
        self.extensions: Mapping[str, Any] = extensions

    @classmethod
    def name(cls) -> str:
        """Return the kebab-case name of the problem: `job-active` for JobActive."""
        return re.sub("(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class InternalError(Problem):
    """A bug: it has been logged, and the caller learns no more."""


class Refused(Problem):
    """The request cannot be done as asked; the caller must change it."""

    status = 400
    title = "Refused"


class BadJson(Refused):
    """The body is not JSON."""

    title = "The body is not valid JSON"


class BadRequest(Refused):
    """A header or the query cannot be read."""

    title = "The request cannot be read"


class WebhookRejected(BadRequest):
    """A webhook may not go there."""

    title = "The webhook's URL is not allowed"


class Unauthenticated(Refused):
    """No credential, or one that is unknown, expired or revoked."""

    status = 401
    title = "Authentication is needed"


class OriginNotAllowed(Refused):
    """A page of another origin asked."""

    status = 403
    title = "This origin may not ask"


class PathReserved(Refused):
    """The path is not the caller's to write to."""

    status = 403
    title = "This path is reserved"


class ProducerFenced(Refused):
    """A newer epoch of the producer has written; the extension `producer_epoch` says which."""

    status = 403
    title = "A newer producer has taken over"


class NotFound(Refused):
    """The thing is not there, or the caller may not know that it is."""

    status = 404
    title = "Not found"


class MethodNotAllowed(Refused):
    """The resource does not know this method; the extension `allow` lists those it knows."""

    status = 405
    title = "This method is not allowed here"


class NotAcceptable(Refused):
    """None of the media types the caller accepts can be made."""

    status = 406
    title = "Nothing acceptable can be sent"


class BodyTooSlow(Refused):
    """The client has stopped sending its body."""

    status = 408
    title = "The body did not come in time"


class ApprovalResolved(Refused):
    """The question has its answer, or has expired; the extension `outcome` says which."""

    status = 409
    title = "This was answered before"


class EndpointExists(Refused):
    """The name is taken, by a stored endpoint or by the settings."""

    status = 409
    title = "There is an endpoint of this name"


class EndpointFixed(Refused):
    """The endpoint comes from the settings or is built in: it is changed there, not here."""

    status = 409
    title = "This endpoint is not changed here"


class ServerExists(Refused):
    """The name is taken, by a server of the caller's or of the settings."""

    status = 409
    title = "There is an MCP server of this name"


class ActionsExist(Refused):
    """The caller has actions of this name."""

    status = 409
    title = "There are actions of this name"


class ServerFixed(Refused):
    """The server comes from the settings: it is changed there, not here."""

    status = 409
    title = "This MCP server is not changed here"


class JobActive(Refused):
    """The conversation has a current job; the extension `job_id` names it."""

    status = 409
    title = "A job is running in this conversation"


class JobChanged(Refused):
    """`replaces` does not name the current job; the extension `current_job` does."""

    status = 409
    title = "Another job is current"


class JobEnded(Refused):
    """The job has ended otherwise; the extension `job_status` says how."""

    status = 409
    title = "The job has ended"


class StreamConflict(Refused):
    """The stream is there with another configuration, or takes another content type or order."""

    status = 409
    title = "The stream is another one"


class StreamClosed(Refused):
    """The stream takes nothing more; the extension `stream_next_offset` is where it ends."""

    status = 409
    title = "The stream is closed"


class ProducerGap(Refused):
    """The producer left a number out; the extensions say which was expected and which came."""

    status = 409
    title = "The producer left something out"


class LeaseFenced(Refused):
    """The wake or the lease is no longer the current one."""

    status = 409
    title = "The lease has passed on"


class LeaseHeld(Refused):
    """Another worker holds the lease."""

    status = 409
    title = "The subscription is claimed already"


class StreamGone(Refused):
    """The stream was deleted, and is kept only for its forks."""

    status = 410
    title = "The stream is gone"


class TooLarge(Refused):
    """The body is larger than the limit."""

    status = 413
    title = "The body is too large"


class MediaTypeNotSupported(Refused):
    """The body is of a media type that is not read here."""

    status = 415
    title = "This media type is not read here"


class HostNotAllowed(Refused):
    """The Host header names no host of this service."""

    status = 421
    title = "This host is not served here"


class Invalid(Refused):
    """Well-formed but wrong; the extension `errors` lists pointers and details."""

    status = 422
    title = "The request is not valid"

    @classmethod
    def at(cls, pointer: str, detail: str) -> Invalid:
        """Return the problem for one wrong value. `pointer` is an RFC 6901 JSON pointer."""
        return cls(detail, errors=[{"pointer": pointer, "detail": detail}])


class CursorAhead(Refused):
    """The cursor lies past the head; the extensions `head` and `log_epoch` say where to begin."""

    status = 422
    title = "The cursor is ahead of the log"


class IdempotencyConflict(Refused):
    """The idempotency key was used before with another body."""

    status = 422
    title = "The idempotency key belongs to another request"


class Busy(Problem):
    """Nothing is wrong with the request; the caller should try again after `retry_after_s`."""

    status = 503
    title = "Too busy"
    retry_after_s: ClassVar[int] = 1


class TooManyRequests(Busy):
    """The caller has asked for more than its share."""

    status = 429
    title = "Too many requests"


class QueueFull(TooManyRequests):
    """As many jobs wait in this conversation as may."""

    title = "The queue of this conversation is full"


class MailboxFull(Busy):
    """The actor has more waiting messages than its bound."""

    title = "The actor is too busy"


class StoreUnavailable(Busy):
    """The store cannot write now, for want of space; nothing has been written."""

    title = "The store cannot write now"
    retry_after_s = 5


class StoreClosed(StoreUnavailable):
    """The store has closed after an I/O error and stays closed until the service starts again."""

    title = "The store is closed"


class AuditUnavailable(Busy):
    """The audit entry cannot be written, so the change has not happened."""

    title = "The change could not be audited"
    retry_after_s = 5


class ShuttingDown(Busy):
    """The service is stopping and takes no new jobs."""

    title = "The service is shutting down"
    retry_after_s = 5


class Upstream(Problem):
    """A vendor or a tool failed. Inside a job this is an event, not an HTTP error."""

    status = 502
    title = "The provider failed"


class UpstreamSaid(Upstream):
    """The provider answered with an error; `code` and `provider_request_id` are its words."""


class UpstreamLost(Upstream):
    """The connection to the provider broke or fell silent."""


class LogCorrupt(Problem):
    """A record does not match its checksum; it is never read as data."""

    title = "The log is damaged"


class SequenceConflict(Problem):
    """An append did not continue its stream: two writers, or one that lost its place."""

    title = "The append does not continue its stream"


class StoreRefused(Refused):
    """The data folder cannot be used as asked; told by the command line."""

    title = "The data folder cannot be used"


class FolderInUse(StoreRefused):
    """Another service owns the folder; the extension `url` says where it answers, or is null."""

    title = "The data folder is in use"


class FolderUnusable(StoreRefused):
    """The folder is read-only, on a network filesystem, or no folder."""


class SchemaNewer(StoreRefused):
    """The database was written by a newer version."""

    title = "The database is newer than this program"


class SchemaOlder(StoreRefused):
    """The database waits for `runchat serve` to migrate it."""

    title = "The database is older than this program"


class BackupRefused(StoreRefused):
    """The file is no sound backup, or the place for it is taken."""

    title = "The backup cannot be used"
