"""The alert rules of the containers: existing metrics, and a part of the runbook with the steps to take."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
PROMETHEUS = REPOSITORY / "deploy/compose/prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
REFERENCE = (REPOSITORY / "docs/reference/metrics.md").read_text()
METRICS = {
    "up",
    *re.findall(r"^\| `([a-z_]+)` \|", REFERENCE, re.MULTILINE),
    *(f"{name}_count" for name in re.findall(r"^\| `([a-z_]+)` \| histogram", REFERENCE, re.MULTILINE)),
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
    "outbox_shards_unheld",
    "consumer_lag_records",
    "exit_orders_oldest_unknown_seconds",
    "exit_orders_undecidable",
    "exit_orders_position_unclear",
    "exit_position_shortfall",
    "exit_orders_overfilled_total",
    "trade_fills_excess_shares_total",
    "trade_fills_dead_letters_total",
}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="needs promtool, of the Debian package prometheus")


def metrics_of(expression: str) -> set[str]:
    """Return the names in an expression other than functions and labels."""
    without_labels = re.sub(r"\bby \([^)]*\)|\{[^}]*\}|\[[^]]*\]", " ", expression)
    return set(re.findall(r"\b[a-z_]+\b(?! *\()", without_labels)) - {"max", "min", "sum", "count", "by", "or"}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_uses_existing_metrics_and_names_its_runbook(rule: dict[str, Any]) -> None:
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


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=60, check=False)


@needs_promtool
def test_promtool_accepts_the_rules_and_they_fire_as_written() -> None:
    checked = promtool("check", "rules", PROMETHEUS / "alerts.yml")
    assert (checked.returncode, f"{len(RULES)} rules found" in checked.stdout) == (0, True), checked.stderr
    fired = promtool("test", "rules", Path(__file__).parent / "alerts.test.yml")
    assert fired.returncode == 0, fired.stdout + fired.stderr


@needs_promtool
def test_promtool_accepts_the_configuration_of_prometheus() -> None:
    checked = promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
