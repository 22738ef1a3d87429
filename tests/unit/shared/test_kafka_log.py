"""Lines of Kafka's client library are written now and then, with the number of those left out."""

from __future__ import annotations

import logging

import pytest

from shared.kafka.client_logging import QUIET_S, Rationed
from tests.unit.outbox_relay.clock import StandingClock


@pytest.fixture
def clock() -> StandingClock:
    """The ration's."""
    return StandingClock()


@pytest.fixture
def client_log(clock: StandingClock) -> logging.Logger:
    """A logger as the clients have it."""
    logger = logging.Logger("client")
    logger.addFilter(Rationed(clock))
    return logger


def said(client_log: logging.Logger, level: int, kind: str, what: str) -> str | None:
    """The lines written for a line from confluent_kafka."""
    record = client_log.makeRecord("client", level, "", 0, "%s [%s] %s", (kind, "rdkafka#producer-1", what), None)
    return record.getMessage() if client_log.filter(record) else None


def test_kind_logs_one_line_per_interval_and_counts_suppressed(
    client_log: logging.Logger, clock: StandingClock
) -> None:
    written = []
    for _ in range(9):
        written.append(said(client_log, logging.ERROR, "FAIL", "refused 100%"))
        clock.elapsed_s += QUIET_S / 8
    assert written == [
        "FAIL [rdkafka#producer-1] refused 100%",
        *[None] * 7,
        "FAIL [rdkafka#producer-1] refused 100% (7 more FAIL lines before)",
    ]


def test_new_kind_is_logged_at_once_and_fatal_always(client_log: logging.Logger) -> None:
    assert said(client_log, logging.ERROR, "FAIL", "refused")
    assert said(client_log, logging.WARNING, "MAXPOLL", "too slow")
    for _ in range(2):
        assert said(client_log, logging.CRITICAL, "FATAL", "fenced")


def test_new_error_is_logged_at_once_unless_only_numbers_differ(
    client_log: logging.Logger,
) -> None:
    assert said(client_log, logging.ERROR, "ERROR", "1/1 brokers are down")
    assert said(client_log, logging.ERROR, "ERROR", "Topic authorization failed")
    assert said(client_log, logging.ERROR, "ERROR", "2/3 brokers are down") is None


def test_log_omits_warning_that_gapless_guarantee_is_experimental(client_log: logging.Logger) -> None:
    what = "Configuration property enable.gapless.guarantee is experimental"
    assert said(client_log, logging.WARNING, "CONFWARN", what) is None
    assert said(client_log, logging.WARNING, "CONFWARN", "another")
