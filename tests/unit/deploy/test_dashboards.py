"""The dashboards of the containers: existing metrics and labels, and panels without overlaps."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.test_alerts import REPOSITORY, metrics_of, needs_promtool, promtool

GRAFANA = REPOSITORY / "deploy/compose/grafana"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}") for name, board in BOARDS.items() for panel in board["panels"]
]
ROWS = re.findall(
    r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*) \|", (REPOSITORY / "docs/reference/metrics.md").read_text(), re.MULTILINE
)
SERIES = {
    series: set(re.findall(r"`(\w+)`", labels)) | ({"le"} if series.endswith("_bucket") else set())
    for name, kind, labels in ROWS
    for series in ([f"{name}{end}" for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name])
} | {"up": set()}
OF_EVERY_TARGET = {"process", "instance", "job"}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_series_and_labels_that_exist(panel: dict[str, Any]) -> None:
    assert panel["datasource"]["uid"] == "prometheus"
    for target in panel["targets"]:
        asked = metrics_of(target["expr"])
        assert asked
        assert asked <= SERIES.keys(), target["expr"]
        named = re.findall(r"by \(([^)]*)\)|\{(\w+)=", target["expr"]) + re.findall(
            r"\{\{(\w+)()\}\}", target["legendFormat"]
        )
        labels = {label for pair in named for text in pair for label in re.findall(r"\w+", text)}
        assert labels <= OF_EVERY_TARGET.union(*(SERIES[name] for name in asked)), target["expr"]


@needs_promtool
def test_promtool_reads_the_query_of_every_panel(tmp_path: Path) -> None:
    queries = [target["expr"] for board in BOARDS.values() for panel in board["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", "--lint=none", file)
    assert (checked.returncode, f"{len(queries)} rules found" in checked.stdout) == (0, True), checked.stderr


@pytest.mark.parametrize("name", BOARDS)
def test_panels_of_a_board_have_unique_ids_and_places(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_grafana_loads_every_board_under_its_own_id() -> None:
    provided = yaml.safe_load((GRAFANA / "provisioning/dashboards/exitflow.yml").read_text())["providers"]
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    mounted = f"./{(GRAFANA / 'dashboards').relative_to(REPOSITORY)}:{provided[0]['options']['path']}:ro"
    assert mounted in compose
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) >= 3


def test_a_metric_that_does_not_exist_is_found() -> None:
    assert not metrics_of("sum by (topic) (rate(exit_ticks_judged_total[1m]))") <= SERIES.keys()
