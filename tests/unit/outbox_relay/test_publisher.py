"""The settings without which the producer may lose an event or break its order."""

from __future__ import annotations

from shared.kafka import producer_config
from shared.settings import Settings


def test_one_request_at_a_time_is_in_flight_idempotent_and_acknowledged_by_all() -> None:
    config = producer_config(Settings())
    assert config["max.in.flight.requests.per.connection"] == 1
    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["partitioner"] == "murmur2_random"
