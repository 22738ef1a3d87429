"""The plot of replays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from xml.etree import ElementTree

from PIL import Image, ImageColor

from services.replay.plots.drawing import Steps
from services.replay.plots.equity import HEIGHT, WIDTH, equity_plot
from services.replay.plots.png import png
from services.replay.plots.svg import svg
from tests.unit.replay.examples import OPENING

SVG = "{http://www.w3.org/2000/svg}"


def test_every_curve_has_step_per_exit_and_last_sum() -> None:
    points = [(OPENING, Decimal(10)), (OPENING + timedelta(seconds=60), Decimal(-5))]
    drawn = ElementTree.fromstring(svg(equity_plot({"plan": points, "compared": []})))
    paths = [each.attrib["d"] for each in drawn.iter(f"{SVG}path")]
    assert [path.count("V") for path in paths] == [2, 0]
    words = [each.text for each in drawn.iter(f"{SVG}text")]
    assert {"plan: -5.00", "compared: no exits"} <= set(words)


def test_all_lies_within_the_picture_also_for_a_single_point() -> None:
    for points in ([], [(OPENING, Decimal(0))], [(OPENING, Decimal("1e9"))]):
        drawn = ElementTree.fromstring(svg(equity_plot({"plan": points})))
        for line in drawn.iter(f"{SVG}line"):
            assert all(0 <= float(line.attrib[name]) <= WIDTH for name in ("x1", "x2"))
            assert all(0 <= float(line.attrib[name]) <= HEIGHT for name in ("y1", "y2"))


def test_png_keeps_height_of_each_exit_until_next() -> None:
    totals = [(OPENING + timedelta(minutes=nth), Decimal(total)) for nth, total in enumerate((10, -5, 3))]
    drawing = equity_plot({"plan": totals})
    (steps,) = (shape for shape in drawing.shapes if isinstance(shape, Steps))
    picture = Image.open(BytesIO(png(drawing)))
    ends = [*(x for x, _ in steps.points[2:]), steps.ends]
    for (x, y), until in zip(steps.points[1:], ends, strict=True):
        middle = x + until  # of the picture, with two pixels for one
        assert picture.getpixel((int(middle), int(2 * y))) == ImageColor.getrgb(steps.colour)
        assert picture.getpixel((int(middle), int(2 * y) - 12)) != ImageColor.getrgb(steps.colour)
