"""The records of a step, applied in lanes: batches of separate partitions at the same time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from confluent_kafka import Message

from shared.kafka.consuming import partition_of
from shared.kafka.topics import Partition

Batch = Sequence[Message]
InHand = dict[Future[None], tuple[Batch, Iterator[Batch]]]
"""Batches at work, with those of their lane behind them."""

LANES = 2
"""One books while PostgreSQL works on the batch of the other. More were not measured."""

BATCH_RECORDS = 500
"""Records of a transaction at most: beyond it a commit costs little for each record, and the locked trades would wait
longer."""


class FillLanes:
    """Applies records in batches, each of one transaction.

    The batches of a partition follow one another, so those of a trade do. Not thread-safe.

    Parameters
    ----------
    apply:
        Commits a batch, or raises: then the batch can be applied again. Thread-safe.
    """

    def __init__(self, apply: Callable[[Batch], None]) -> None:
        self._apply = apply
        self._threads = ThreadPoolExecutor(LANES, "fills-lane")

    def apply(self, records: Batch) -> Generator[Batch, None, None]:
        """Commit the effects of the records in batches; yield each batch, whose offsets may be committed from then on.

        No batch is in hand once this ends, or is closed.

        Raises
        ------
        SQLAlchemyError, ExitflowError, KafkaException
            A batch failed. Batches of another lane may be committed too; all that was not yielded can be applied again.
        """
        if len(records) <= BATCH_RECORDS:
            self._apply(records)
            yield records
            return
        in_hand: InHand = {}
        try:
            for lane in _lanes(records):
                self._begin_next(lane, in_hand)
            while in_hand:
                done, _ = wait(in_hand, return_when=FIRST_COMPLETED)
                for each in done:
                    batch, lane = in_hand.pop(each)
                    each.result()
                    self._begin_next(lane, in_hand)
                    yield batch
        finally:
            wait(in_hand)

    def _begin_next(self, lane: Iterator[Batch], in_hand: InHand) -> None:
        batch = next(lane, None)
        if batch is not None:
            in_hand[self._threads.submit(self._apply, batch)] = batch, lane


def _lanes(records: Batch) -> Iterator[Iterator[Batch]]:
    """Yield the batches of each lane: whole partitions in order, about as many records in each lane."""
    partitions: dict[Partition, list[Message]] = {}
    for record in records:
        partitions.setdefault(partition_of(record), []).append(record)
    lanes: list[list[Message]] = [[] for _ in range(LANES)]
    for each in sorted(partitions.values(), key=len, reverse=True):
        min(lanes, key=len).extend(each)
    return (_batches(lane) for lane in lanes)


def _batches(records: Batch) -> Iterator[Batch]:
    return (records[start : start + BATCH_RECORDS] for start in range(0, len(records), BATCH_RECORDS))
