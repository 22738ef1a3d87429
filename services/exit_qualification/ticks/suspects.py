"""Suspect records: records of a failed batch, processed one by one until applied or refused."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Message

from services.exit_qualification.ticks.batch import Layout, in_order


class Suspects:
    """Tracks the end of the record-by-record range of each partition."""

    def __init__(self) -> None:
        self._until: dict[tuple[str | None, int | None], int] = {}

    def add(self, messages: Sequence[Message]) -> None:
        """Process these records alone when they are read again."""
        for message in messages:
            where = message.topic(), message.partition()
            self._until[where] = max(self._until.get(where, 0), (message.offset() or 0) + 1)

    def parts(self, messages: Sequence[Message], layout: Layout, now_ms: int) -> list[Sequence[Message]]:
        """Return the records as one batch, or as batches of one if they include suspects."""
        if not any(self._is_suspect(message) for message in messages):
            return [messages]
        return [[message] for message in in_order(messages, layout, now_ms)]

    def clear(self, message: Message) -> None:
        """Forget a partition if this record was its last suspect."""
        where = message.topic(), message.partition()
        if (message.offset() or 0) + 1 >= self._until.get(where, 0):
            self._until.pop(where, None)

    def _is_suspect(self, message: Message) -> bool:
        return (message.offset() or 0) < self._until.get((message.topic(), message.partition()), 0)
