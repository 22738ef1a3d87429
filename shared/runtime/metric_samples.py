"""Metrics of another process, read from the text of its ``/metrics``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One value with its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


class MetricSamples:
    """Samples of one scrape; a sample without a number counts as absent."""

    def __init__(self, samples: Iterable[MetricSample] = ()) -> None:
        self._samples = [each for each in samples if not math.isnan(each.value)]

    @classmethod
    def parse(cls, text: str, names: Iterable[str]) -> MetricSamples:
        """Read the samples of these names; other lines are not parsed.

        Raises
        ------
        ValueError
            A line of these names is not in the exposition format.
        """
        wanted = tuple(names)
        lines = "\n".join(line for line in text.splitlines() if line.startswith(wanted)) + "\n"
        return cls(
            MetricSample(sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(lines)
            for sample in family.samples
            if sample.name in wanted
        )

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels; 0 without any."""
        return sum(each.value for each in self._named(name) if labels.items() <= each.labels.items())

    def highest(self, name: str) -> float:
        """Return the highest of a metric's samples; 0 without any."""
        return max((each.value for each in self._named(name)), default=0.0)

    def by(self, name: str, label: str, combine: Callable[[Iterable[float]], float] = sum) -> dict[str, float]:
        """Return the sums of a metric by the value of a label, sorted by label value; or another combination."""
        values: dict[str, list[float]] = {}
        for each in self._named(name):
            values.setdefault(each.labels.get(label, ""), []).append(each.value)
        return {of: combine(values[of]) for of in sorted(values)}

    def __add__(self, other: MetricSamples) -> MetricSamples:
        return MetricSamples([*self._samples, *other._samples])

    def _named(self, name: str) -> Iterator[MetricSample]:
        return (each for each in self._samples if each.name == name)
