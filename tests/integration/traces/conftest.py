"""A market and both databases of one environment."""

from __future__ import annotations

from tests.integration.exit_qualification.conftest import exit_engine
from tests.integration.exit_qualification.ticks.conftest import book, market
from tests.integration.outbox_relay.conftest import exit_relay
from tests.integration.trade_management.conftest import trade_engine

__all__ = ["book", "exit_engine", "exit_relay", "market", "trade_engine"]
