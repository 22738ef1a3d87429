"""The reference page of all metrics: described by the registry, and assigned to processes by the imports."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grimp
from prometheus_client.metrics import MetricWrapperBase

from services.contracts.pages import page, table
from services.exit_qualification.published_signals import PublishedSignals
from shared.runtime.catalogue import PROCESSES

_DEFINITION = re.compile(r"^([A-Z][A-Z_]*) = (?:counter|gauge|histogram)\(", re.MULTILINE)


class Metric(NamedTuple):
    """A metric by its name on `/metrics`."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str
    module: str


def metric_page() -> str:
    """Return the page of all metrics, by name."""
    imports = grimp.build_graph("services", "shared", cache_dir=None, exclude_type_checking_imports=True)
    reached = {name: imports.find_upstream_modules(each.module) for name, each in PROCESSES.items()}
    rows = [
        (
            f"`{metric.name}`",
            metric.type,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.meaning,
            ", ".join(name for name in PROCESSES if metric.module in reached[name]),
        )
        for metric in sorted(all_metrics(imports))
    ]
    intro = (
        "Every process serves these on `/metrics` of its HTTP port. A histogram has the series `_bucket`, `_sum` and",
        "`_count`. [The relay's operations page](../architecture/relay-operations.md) has the alerts.",
    )
    return page("Metrics", intro, table(("metric", "type", "labels", "meaning", "process"), rows))


def all_metrics(imports: Any) -> list[Metric]:
    """Return the metrics defined by the modules of `imports`."""
    return [PUBLISHED_SIGNALS, *(metric for module in sorted(imports.modules) for metric in _defined_in(module))]


PUBLISHED_SIGNALS = Metric(
    "exit_signals_published_total",
    "counter",
    ("reason",),
    "Exit signals with their event in Kafka; the same in each copy of the process, so take the maximum",
    PublishedSignals.__module__,
)
"""The one metric made by a collector at each scrape."""


def _defined_in(module: str) -> Iterator[Metric]:
    source = importlib.util.find_spec(module)
    text = Path(source.origin).read_text() if source and source.origin else ""
    for name in _DEFINITION.findall(text):
        yield _described(getattr(importlib.import_module(module), name), module)


def _described(metric: MetricWrapperBase, module: str) -> Metric:
    (family,) = metric.describe()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return Metric(name, family.type, metric._labelnames, family.documentation, module)
