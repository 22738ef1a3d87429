"""A topic's metadata: its partitions, its absence, or nothing just now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from shared.errors import ConfigurationError, Unavailable
from shared.kafka.clients import partition_counts


def _admin(**topics: int | KafkaError) -> AdminClient:
    """A cluster with topics of so many partitions, or an error."""
    described = {name: _described(what) for name, what in topics.items()}
    return cast(AdminClient, SimpleNamespace(list_topics=lambda timeout: SimpleNamespace(topics=described)))


def _described(what: int | KafkaError) -> Any:
    if isinstance(what, KafkaError):
        return SimpleNamespace(error=what, partitions={})
    return SimpleNamespace(error=None, partitions=dict.fromkeys(range(what)))


def test_each_topic_has_its_number_of_partitions() -> None:
    assert partition_counts(_admin(ticks=3, trades=2, other=1), ["ticks", "trades"]) == {"ticks": 3, "trades": 2}


@pytest.mark.parametrize(
    "cluster", [_admin(ticks=3), _admin(ticks=3, trades=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))]
)
def test_absent_topic_is_a_configuration_error(cluster: AdminClient) -> None:
    with pytest.raises(ConfigurationError, match="no such topics: trades"):
        partition_counts(cluster, ["ticks", "trades"])


@pytest.mark.parametrize("code", [KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT])
def test_an_error_that_passes_is_worth_another_try(code: int) -> None:
    with pytest.raises(Unavailable, match="trades") as error:
        partition_counts(_admin(ticks=3, trades=KafkaError(code)), ["ticks", "trades"])
    assert error.value.retryable
