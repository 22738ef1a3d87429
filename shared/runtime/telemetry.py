"""Logs and metrics."""

from __future__ import annotations

import logging
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from pythonjsonlogger.json import JsonFormatter

from shared.settings import Settings

REGISTRY = CollectorRegistry()
"""The metrics of this process."""

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure_logging(settings: Settings) -> None:
    """Send every log line to standard error, in the configured format, with the name of the process."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        names = {"asctime": "time", "levelname": "level"}
        handler.setFormatter(JsonFormatter(_FIELDS, rename_fields=names, static_fields={"process": settings.process}))
    else:
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)-7s {settings.process} %(name)s %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "urllib3", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def counter(name: str, what: str, *labels: str) -> Counter:
    """Create a counter of this process; `name` without ``_total``."""
    return Counter(name, what, labels, registry=REGISTRY)


def gauge(name: str, what: str, *labels: str) -> Gauge:
    """Create a gauge of this process."""
    return Gauge(name, what, labels, registry=REGISTRY)


def histogram(name: str, what: str, *labels: str, buckets: tuple[float, ...] = LATENCY_BUCKETS_S) -> Histogram:
    """Create a histogram of this process; put the unit last in `name`."""
    return Histogram(name, what, labels, registry=REGISTRY, buckets=buckets)
