"""The alert rules of the containers: metrics that exist, and a part of the runbook that says what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
PROMETHEUS = REPOSITORY / "deploy/compose/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
METRICS = {
    "up",
    *re.findall(r"^\| `([a-z_]+)` \|", (REPOSITORY / "docs/reference/metrics.md").read_text(), re.MULTILINE),
}
NEEDS_AN_OPERATOR = {
    "process_ready",
    "waiting_work_oldest_seconds",
    "consumer_records_missed_total",
    "untrusted_records_total",
    "exit_order_limit_reached_total",
    "exit_tick_symbols_stuck_total",
    "outbox_oldest_unpublished_age_seconds",
    "outbox_parked_events",
}


def metrics_of(expression: str) -> set[str]:
    """Return the names in an expression that are neither functions nor labels."""
    without_labels = re.sub(r"\bby \([^)]*\)|\{[^}]*\}|\[[^]]*\]", " ", expression)
    return set(re.findall(r"\b[a-z_]+\b(?! *\()", without_labels)) - {"max", "sum", "by"}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist_and_names_its_runbook(rule: dict[str, Any]) -> None:
    asked = metrics_of(rule["expr"])
    assert asked
    assert asked <= METRICS
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in anchors(REPOSITORY / page)
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_everything_that_needs_an_operator_has_an_alert() -> None:
    assert set().union(*(metrics_of(rule["expr"]) for rule in RULES)) >= NEEDS_AN_OPERATOR


def test_prometheus_loads_the_rules() -> None:
    assert yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["rule_files"] == ["alerts.yml"]
