"""The topics: names, and what their records are keyed by."""

from __future__ import annotations

from dataclasses import dataclass

MARKET_TICKS = "market.ticks.v1"
TRADES = "trades.v1"
EXIT_SIGNALS = "exits.signals.v1"
EXIT_INTENTS = "exits.intents.v1"
OPERATIONS_CONTROLS = "operations.controls.v1"

ALL_TOPICS = (MARKET_TICKS, TRADES, EXIT_SIGNALS, EXIT_INTENTS, OPERATIONS_CONTROLS)


def dead_letter_topic(topic: str) -> str:
    """Where a consumer puts the records of `topic` that it could not read."""
    return f"{topic}.dlq"


@dataclass(frozen=True)
class TopicNames:
    """Topic names as they stand on the cluster of one environment."""

    prefix: str = ""

    def on_cluster(self, topic: str) -> str:
        """The name on the cluster of a topic of this module."""
        return f"{self.prefix}{topic}"

    def logical(self, name: str) -> str:
        """The topic of this module that a name on the cluster stands for."""
        return name.removeprefix(self.prefix)

    def all_on_cluster(self) -> list[str]:
        """Every topic and every dead-letter topic, as named on the cluster."""
        return [self.on_cluster(name) for topic in ALL_TOPICS for name in (topic, dead_letter_topic(topic))]
