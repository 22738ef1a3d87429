"""Metrics read from the text of a process."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from shared.runtime.metric_samples import MetricSamples


@pytest.fixture
def text() -> str:
    """The text of a process with two gauges and a counter."""
    registry = CollectorRegistry()
    lag = Gauge("lag", 'with "quotes"', ["topic", "partition"], registry=registry)
    lag.labels("ticks.v1", "0").set(3)
    lag.labels("ticks.v1", "1").set(4)
    lag.labels('a"b', "0").set(5)
    lag.labels("ticks.v1", "2").set(math.nan)
    Gauge("lag_s", "another metric with the same beginning", registry=registry).set(9)
    Counter("closed", "counted", ["reason"], registry=registry).labels("TARGET").inc(2)
    return generate_latest(registry).decode()


def test_samples_are_summed_by_label_without_non_numbers(text: str) -> None:
    samples = MetricSamples.parse(text, ["lag"])
    assert samples.by("lag", "topic") == {'a"b': 5, "ticks.v1": 7}
    assert samples.total("lag") == 12
    assert samples.total("lag", topic="ticks.v1", partition="1") == 4


def test_only_the_names_asked_for_are_read(text: str) -> None:
    samples = MetricSamples.parse(text, ["lag", "closed_total"])
    assert (samples.total("lag_s"), samples.total("closed_total"), samples.total("closed_created")) == (0, 2, 0)


def test_a_scrape_without_any_of_them_is_all_zero() -> None:
    assert MetricSamples.parse("", ["lag"]).total("lag") == 0
    assert MetricSamples.parse("<html>lag</html>", ["lag"]).by("lag", "topic") == {}


def test_a_broken_line_is_an_error() -> None:
    with pytest.raises(ValueError):
        MetricSamples.parse('lag{topic="x" 3 4 5\n', ["lag"])
