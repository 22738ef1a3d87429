"""Base of all events: a typed payload with a CloudEvents type, a topic and a key."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from shared.errors import MalformedMessage

TYPE_PREFIX = "io.exitflow."
TYPE_SUFFIX = ".v1"


class Event(BaseModel):
    """Base of every event's payload. Consumers ignore unknown fields, so fields can be added."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="float", use_attribute_docstrings=True)

    topic: ClassVar[str]
    source: ClassVar[str]

    @classmethod
    def event_type(cls) -> str:
        """Return the CloudEvents type, ``io.exitflow.<Event>.v1``."""
        return f"{TYPE_PREFIX}{cls.__name__}{TYPE_SUFFIX}"

    @property
    def key(self) -> str:
        """Return the Kafka key; events of one key stay in order."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """Return the CloudEvents subject: the id of the event's entity."""
        raise NotImplementedError

    @property
    def own_traceparent(self) -> str | None:
        """Return the ``traceparent`` common to every event of one process, as of an exit; None: use the cause's."""
        return None

    def payload(self) -> bytes:
        """Return the JSON payload as sent to Kafka."""
        # `model_dump_json` would decode these bytes, in as much time again.
        return self.__pydantic_serializer__.to_json(self)


class ExitEvent(Event):
    """An event about an exit, keyed by its trade."""

    source = "/exitflow/exit-qualification"
    trade_id: UUID
    """The trade to exit."""

    @property
    def key(self) -> str:
        """Return the trade's id."""
        return str(self.trade_id)


_registry: dict[str, type[Event]] = {}


def register(event: type[Event]) -> type[Event]:
    """Make an event's class readable from the wire; a decorator."""
    _registry[event.event_type()] = event
    return event


def event_classes() -> list[type[Event]]:
    """Return every registered event class, sorted by type."""
    return [_registry[name] for name in sorted(_registry)]


def parse_event(event_type: str, payload: bytes | str | None) -> Event:
    """Parse an event from a record's type header and value.

    Raises
    ------
    MalformedMessage
        The type is unknown, or the value does not fit it. Names the fields, never shows the value.
    """
    event = _registry.get(event_type)
    if event is None:
        raise MalformedMessage(f"unknown event type {event_type!r}")
    try:
        # Decoded first: an error of `model_validate_json` keeps a copy of the whole record for each missing field.
        return event.model_validate(from_json(payload or b"", allow_inf_nan=False))
    except ValidationError as error:
        raise MalformedMessage(f"{event.__name__}: {describe(error)}") from error
    except ValueError as error:
        raise MalformedMessage(f"{event.__name__}: not JSON: {error}") from error


def describe(error: ValidationError) -> str:
    """Describe a validation error as ``field: problem``, without the values."""
    problems: list[dict[str, Any]] = [dict(item) for item in error.errors(include_input=False, include_url=False)]
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'record'}: {item['msg']}" for item in problems)
