"""The stack as a test sees it: open trades, play ticks, await events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from deploy.local.kafka.selection import KafkaChoice
from services.cli.support.api_client import ApiClient, Json
from services.cli.support.connection import Target
from services.cli.support.tick_sender import TickSender
from services.demo import stack as demo_stack
from shared.clock import SystemClock
from shared.contracts.events import TYPE_PREFIX, TYPE_SUFFIX
from shared.contracts.ticks import Tick
from shared.contracts.topics import EVENT_TOPICS
from shared.ids import new_id
from shared.kafka.clients import headers_of, open_admin, open_consumer, partition_counts

EVENT_LIMIT_S = 30
_POLL_S = 0.05


@contextmanager
def running_stack(data_dir: Path | None, kafka: str, say: Callable[[str], None]) -> Iterator[ExitflowStack]:
    """Provide the stack of `data_dir`, or one started now and stopped afterwards."""
    with ExitStack() as stack:
        directory = stack.enter_context(demo_stack.data_directory(data_dir, keep=False, say=say))
        described = stack.enter_context(demo_stack.running_stack(directory, KafkaChoice(kafka), say))
        yield stack.enter_context(closing(ExitflowStack(described)))


class ExitflowStack:
    """A running stack.

    Attributes
    ----------
    description:
        The ``stack.json``: URLs, Kafka's address, database URLs, an operator's token.
    exit_api, trade_api:
        HTTP clients with the token.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        self.description = description
        target = Target.of_stack(dict(description))
        self.exit_api = ApiClient(target.exit_api, target.token)
        self.trade_api = ApiClient(target.trade_api, target.token)
        self._settings = target.settings()
        self._ticks = TickSender(self._settings)
        self._clock = SystemClock()
        self._sequence = 0
        self._consumer = self._open_consumer()
        self._events: list[tuple[str, Json]] = []

    def open_trade(self, symbol: str, direction: str = "LONG", **fields: Any) -> Json:
        """Open a trade and return it as ``POST /trades`` answers.

        Parameters
        ----------
        fields:
            Fields of the request other than: product_type MIS, quantity 100, entry_price 1000.00,
            user_broker_id paper, exit_plan with target 1010.00 and stop_loss 990.00 (mirrored for SHORT).
        """
        target, stop_loss = ("1010.00", "990.00") if direction == "LONG" else ("990.00", "1010.00")
        usual = {
            "product_type": "MIS",
            "quantity": 100,
            "entry_price": "1000.00",
            "user_broker_id": "paper",
            "exit_plan": {"target": target, "stop_loss": stop_loss},
        }
        return self.trade_api.post("/trades", {**usual, **fields, "symbol": symbol, "direction": direction})

    def play_ticks(self, symbol: str, *prices: str) -> None:
        """Send one tick per price, in order; return once Kafka has all of them."""
        for price in prices:
            self._sequence += 1
            self._ticks.send(Tick(symbol=symbol, ltp=Decimal(price), ts=self._clock.now(), seq=self._sequence))
        self._ticks.flush()

    def await_event(self, event: str, limit_s: float = EVENT_LIMIT_S, **fields: Any) -> Json:
        """Return the first event of a type, e.g. ``TradeClosed``, whose payload has these fields.

        Events since the start of the topics count, also those before the call.

        Raises
        ------
        AssertionError
            None came within `limit_s` seconds; names the events received.
        """
        event_type = f"{TYPE_PREFIX}{event}{TYPE_SUFFIX}"
        deadline = self._clock.monotonic() + limit_s
        while True:
            for name, payload in self._events:
                if name == event_type and all(str(payload.get(key)) == str(value) for key, value in fields.items()):
                    return payload
            if self._clock.monotonic() > deadline:
                names = sorted({name for name, _ in self._events})
                raise AssertionError(f"no {event} with {fields} within {limit_s:.0f} s; came: {', '.join(names)}")
            self._receive()

    def close(self) -> None:
        """Close the connections; the stack runs on."""
        self._consumer.close()

    def _receive(self) -> None:
        for message in self._consumer.consume(500, timeout=_POLL_S):
            if message.error() is None:
                self._events.append((headers_of(message).get("ce_type", ""), json.loads(message.value() or b"{}")))

    def _open_consumer(self) -> Consumer:
        consumer = open_consumer(self._settings, f"reader-test-{new_id()}")
        counts = partition_counts(open_admin(self._settings), list(EVENT_TOPICS))
        consumer.assign([TopicPartition(name, n, OFFSET_BEGINNING) for name in counts for n in range(counts[name])])
        return consumer
