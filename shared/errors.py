"""The error tree: every error has a stable code, an HTTP status and a retryable flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class ExitflowError(Exception):
    """Base of all errors raised on purpose.

    Attributes
    ----------
    code:
        Stable, machine-readable, in snake case; part of the HTTP contract.
    http_status:
        The status an API answers with when the error reaches it.
    retryable:
        True if the same call may succeed later without a change by the caller.
    retry_after_s:
        Seconds until the same call makes sense, if known; becomes ``Retry-After``.
    details:
        JSON-safe facts for the caller; never a secret.
    """

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    retry_after_s: int | None = None

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]


class InvalidInput(ExitflowError):
    """The request is invalid; repeating it cannot help."""

    code = "invalid_input"
    http_status = 422


def unreadable(file: Path, error: Exception) -> InvalidInput:
    """Return the error of a file of the caller: its name once, and the reason in the system's words."""
    reason = error.strerror if isinstance(error, OSError) else None
    return InvalidInput(f"{file} cannot be read: {reason or error}")


class MalformedMessage(InvalidInput):
    """The record cannot be parsed as the event it claims to be."""

    code = "malformed_message"


class NotFound(ExitflowError):
    """The thing named does not exist."""

    code = "not_found"
    http_status = 404


class NotKnownYet(NotFound):
    """The thing named is not known here; it may be on its way if it was made a moment ago."""

    retryable = True
    retry_after_s = 1


class Conflict(ExitflowError):
    """The entity's state does not allow the request."""

    code = "conflict"
    http_status = 409


class IdempotencyConflict(Conflict):
    """The same idempotency key came with another body."""

    code = "idempotency_key_reused"


class StaleVersion(Conflict):
    """Somebody else changed the row since it was read."""

    code = "stale_version"
    retryable = True


class IllegalTransition(Conflict):
    """A state machine was asked for a step it does not have."""

    code = "illegal_transition"


class Unauthenticated(ExitflowError):
    """The token is missing, unknown or expired."""

    code = "unauthenticated"
    http_status = 401


class Forbidden(ExitflowError):
    """The token lacks the scope required by the request."""

    code = "forbidden"
    http_status = 403


class TooManyRequests(ExitflowError):
    """The caller's token has used up its requests for now."""

    code = "too_many_requests"
    http_status = 429
    retryable = True


class Unavailable(ExitflowError):
    """Something this process depends on does not answer now."""

    code = "unavailable"
    http_status = 503
    retryable = True


class Fenced(ExitflowError):
    """Another worker took over this shard, partition or row; discard the unfinished work."""

    code = "fenced"
    http_status = 409


class ConfigurationError(ExitflowError):
    """The settings or the surroundings do not allow the process to run."""

    code = "configuration_error"


class LogIdentityChanged(ConfigurationError):
    """The stored offsets belong to another Kafka log."""

    code = "log_identity_changed"
