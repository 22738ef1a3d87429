"""Suspect records: records of a failed batch, processed one by one until the one at fault is found."""

from __future__ import annotations

from services.exit_qualification.ticks.batch import Layout, Records, in_order
from shared.kafka.consuming import offset_of, partition_of
from shared.kafka.record_faults import Fault
from shared.kafka.topics import Partition


class Suspects:
    """Tracks the end of the record-by-record range of each partition, and the records found to be at fault."""

    def __init__(self) -> None:
        self._until: dict[Partition, int] = {}
        self._faults: dict[tuple[Partition, int], Fault] = {}

    def add(self, records: Records) -> None:
        """Process these records alone when they are read again."""
        for where, messages in records.items():
            self._until[where] = max(self._until.get(where, 0), offset_of(messages[-1]) + 1)

    def condemn(self, record: Records, fault: Fault) -> None:
        """Refuse this single record when it is read again."""
        [(where, [message])] = record.items()
        self._faults[where, offset_of(message)] = fault

    def are_in(self, records: Records) -> bool:
        """Return whether there are suspects among the records."""
        return any(offset_of(messages[0]) < self._until.get(where, 0) for where, messages in records.items())

    def fault_of(self, records: Records) -> Fault | None:
        """Return the fault of a single record that was condemned; None for any other records."""
        if not self._faults or len(records) != 1:
            return None
        [(where, messages)] = records.items()
        return self._faults.get((where, offset_of(messages[0]))) if len(messages) == 1 else None

    def clear(self, records: Records) -> None:
        """Forget a partition once these processed records reach the end of its suspects."""
        for where, messages in records.items():
            after = offset_of(messages[-1]) + 1
            if after >= self._until.get(where, 0):
                self._until.pop(where, None)
            self._faults.pop((where, after - 1), None)


def one_by_one(records: Records, layout: Layout, now_ms: int) -> list[Records]:
    """Return each record alone, in processing order."""
    return [
        {partition_of(message): [message]}
        for number in sorted({number for _, number in records})
        for message in in_order(
            records.get((layout.ticks, number), ()), records.get((layout.trades, number), ()), now_ms
        )
    ]
