"""Stored exits: the events of `exits.signals.v1`, from JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from services.exit_qualification.domain.level_index import RuleKey
from shared.clock import rfc3339
from shared.contracts.events import describe
from shared.contracts.exits import ExitSignalPublished
from shared.contracts.vocabulary import ExitReason
from shared.errors import InvalidInput, unreadable
from shared.instants import epoch_us
from shared.money import money_text

BY_HAND: Final = (ExitReason.MANUAL, ExitReason.ACCOUNT_LOSS, ExitReason.EXTERNAL)
"""Reasons outside the rules of a plan."""


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A stored event, and the fields of its payload as they were published."""

    event: ExitSignalPublished
    payload: Mapping[str, Any]

    @property
    def at_us(self) -> int:
        """Return the time of the decision in microseconds since 1970."""
        return epoch_us(self.event.detected_at)

    @property
    def rule_key(self) -> RuleKey:
        """Return the rule behind the exit."""
        return RuleKey(self.event.trade_id, self.event.exit_reason, self.event.leg)

    @property
    def is_by_hand(self) -> bool:
        """Return whether no rule decided it."""
        return self.event.exit_reason in BY_HAND


def stored_signal(payload: bytes) -> StoredSignal:
    """Return the event of a payload; InvalidInput if it is none."""
    try:
        event = ExitSignalPublished.model_validate_json(payload)
    except ValidationError as error:
        raise InvalidInput(f"not an ExitSignalPublished: {describe(error)}") from error
    return StoredSignal(event, msgspec.json.decode(payload))


def read_stored(file: Path) -> list[StoredSignal]:
    """Return the events of a file of JSON lines, each the payload of a record of `exits.signals.v1`.

    Repeated events count once.

    Raises
    ------
    InvalidInput
        The file cannot be read, or a line is not such a payload.
    """
    try:
        return in_order(_signals(file, file.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()))
    except OSError as error:
        raise unreadable(file, error) from error


def in_order(signals: Iterable[StoredSignal]) -> list[StoredSignal]:
    """Return each signal once, in the order they were made."""
    return sorted({each.event.signal_id: each for each in signals}.values(), key=lambda each: each.event.signal_id)


def differing(stored: StoredSignal, replayed: ExitSignalPublished, ignored: Iterable[str] = ()) -> Iterator[str]:
    """Yield the fields with other JSON than the replayed event's, with both values; a field may be missing if null.

    A field only of the stored payload is of another version and is left out.
    """
    expected = msgspec.json.decode(replayed.payload())
    for name in sorted(expected.keys() - set(ignored)):
        found = stored.payload.get(name)
        if found != expected[name]:
            yield f"{name} is {found}, not {expected[name]}"


def words(event: ExitSignalPublished) -> str:
    """Return an event in a few words."""
    leg = "" if event.leg is None else f" leg {event.leg}"
    price = "no price" if event.detected_price is None else money_text(event.detected_price)
    return f"{event.exit_reason}{leg} at {price}, {rfc3339(event.detected_at)}"


def _signals(file: Path, lines: Iterable[bytes]) -> Iterator[StoredSignal]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield stored_signal(line)
            except InvalidInput as error:
                raise InvalidInput(f"{file}: line {number}: {error}") from error
