"""Topic names and the key of each topic's records."""

from __future__ import annotations

from dataclasses import dataclass

MARKET_TICKS = "market.ticks.v1"
TRADES = "trades.v1"
EXIT_SIGNALS = "exits.signals.v1"
EXIT_INTENTS = "exits.intents.v1"
OPERATIONS_CONTROLS = "operations.controls.v1"

EVENT_TOPICS = (TRADES, EXIT_SIGNALS, EXIT_INTENTS, OPERATIONS_CONTROLS)
"""Topics written by relays."""
ALL_TOPICS = (MARKET_TICKS, *EVENT_TOPICS)


def dead_letter_topic(topic: str) -> str:
    """Return the topic for records of `topic` rejected by its consumer as unreadable."""
    return f"{topic}.dlq"


@dataclass(frozen=True)
class TopicNames:
    """Topic names as they stand on the cluster of one environment."""

    prefix: str = ""

    def on_cluster(self, topic: str) -> str:
        """Return the cluster's name for a topic of this module."""
        return f"{self.prefix}{topic}"

    def logical(self, name: str) -> str:
        """Return this module's name for a topic of the cluster."""
        return name.removeprefix(self.prefix)

    def all_on_cluster(self) -> list[str]:
        """Return every topic and every dead-letter topic, as named on the cluster."""
        return [self.on_cluster(name) for topic in ALL_TOPICS for name in (topic, dead_letter_topic(topic))]
