"""The plot of replays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from xml.etree import ElementTree

from services.replay.plot import HEIGHT, WIDTH, plot
from tests.unit.replay.examples import OPENING

SVG = "{http://www.w3.org/2000/svg}"


def test_every_curve_has_a_step_for_each_exit_and_its_last_sum() -> None:
    points = [(OPENING, Decimal(10)), (OPENING + timedelta(seconds=60), Decimal(-5))]
    drawn = ElementTree.fromstring(plot({"plan": points, "compared": []}))
    paths = [each.attrib["d"] for each in drawn.iter(f"{SVG}path")]
    assert [path.count("V") for path in paths] == [2, 0]
    words = [each.text for each in drawn.iter(f"{SVG}text")]
    assert {"plan: -5.00", "compared: no exits"} <= set(words)


def test_all_lies_within_the_picture_also_for_a_single_point() -> None:
    for points in ([], [(OPENING, Decimal(0))], [(OPENING, Decimal("1e9"))]):
        drawn = ElementTree.fromstring(plot({"plan": points}))
        for line in drawn.iter(f"{SVG}line"):
            assert all(0 <= float(line.attrib[name]) <= WIDTH for name in ("x1", "x2"))
            assert all(0 <= float(line.attrib[name]) <= HEIGHT for name in ("y1", "y2"))
