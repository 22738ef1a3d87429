"""An outbox with a writer and a topic, as the relay's other tests have them, and how long to go on.

`make chaos-relay` sets CHAOS_RELAY; without it only the short forms of these tests run.
"""

from __future__ import annotations

import pytest

from tests.chaos.outbox_relay.extent import IS_CHAOS
from tests.integration.outbox_relay.conftest import exit_relay, log, writer
from tests.integration.outbox_relay.parking.conftest import operator, topic

__all__ = ["exit_relay", "log", "operator", "topic", "writer"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `chaos` take minutes and run only when asked for."""
    for item in items:
        if item.get_closest_marker("chaos") and not IS_CHAOS:
            item.add_marker(pytest.mark.skip(reason="takes minutes: make chaos-relay"))
