"""Range of a topic to read: offsets per partition, or times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EVERY_PARTITION = None
"""Key of the offset for all partitions without one."""

Offsets = Mapping[int | None, int]


@dataclass(frozen=True, slots=True)
class TopicRange:
    """Records to read.

    Attributes
    ----------
    from_offsets, to_offsets:
        First offset and the offset to stop before, per partition; all of Kafka's records without one.
    since_ms, until_ms:
        Instead of them, in milliseconds since 1970, by the records' timestamps; `until_ms` is not included.
    partitions:
        Partitions of the topic when its ticks were written; None for those of today.
    """

    topic: str
    from_offsets: Offsets = field(default_factory=dict)
    to_offsets: Offsets = field(default_factory=dict)
    since_ms: int | None = None
    until_ms: int | None = None
    partitions: int | None = None
