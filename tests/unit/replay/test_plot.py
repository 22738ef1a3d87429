"""The plot of replays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageColor

from services.replay.plots.axes import money_axis, time_axis
from services.replay.plots.drawing import DARK, LIGHT, Steps
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


def test_money_has_round_marks_around_every_amount() -> None:
    axis = money_axis([-457.70, 1268.75], 6)
    assert [words for _, words in axis.marks()] == ["-500", "0", "500", "1,000", "1,500"]
    assert [words for _, words in money_axis([0.07], 4).marks()] == ["0.00", "0.02", "0.04", "0.06", "0.08"]


def test_nights_take_no_room() -> None:
    days = [OPENING + timedelta(days=nth, hours=hours) for nth in (0, 1, 4) for hours in (0, 6)]
    axis = time_axis(days)
    assert [axis.place(at) for at in days] == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    assert [words for _, words in axis.marks(6)] == ["13 Jan", "14 Jan", "17 Jan"]


def test_a_single_day_has_round_times() -> None:
    axis = time_axis([OPENING + timedelta(minutes=3), OPENING + timedelta(minutes=52)])
    assert [words for _, words in axis.marks(6)] == ["09:20", "09:30", "09:40", "09:50", "10:00"]


def test_a_dark_screen_has_its_own_colours() -> None:
    drawn = svg(equity_plot({"plan": [(OPENING, Decimal(10))]}))
    light, dark = drawn.split("@media(prefers-color-scheme:dark)")
    assert all(colour in light for colour in LIGHT.values())
    assert all(colour in dark for colour in DARK.values())
    assert "#" not in drawn.split("</style>")[1], "every colour is a class"


def test_png_keeps_height_of_each_exit_until_next() -> None:
    totals = [(OPENING + timedelta(minutes=nth), Decimal(total)) for nth, total in enumerate((10, -5, 3))]
    drawing = equity_plot({"plan": totals})
    (steps,) = (shape for shape in drawing.shapes if isinstance(shape, Steps))
    picture = Image.open(BytesIO(png(drawing)))
    ends = [*(x for x, _ in steps.points[2:]), steps.ends]
    for (x, y), until in zip(steps.points[1:], ends, strict=True):
        middle = x + until  # of the picture, with two pixels for one
        assert picture.getpixel((int(middle), int(2 * y))) == ImageColor.getrgb(LIGHT[steps.colour])
        assert picture.getpixel((int(middle), int(2 * y) - 12)) != ImageColor.getrgb(LIGHT[steps.colour])
