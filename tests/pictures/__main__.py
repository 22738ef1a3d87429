"""`python -m tests.pictures`: take the pictures of the console again, in a headless Chromium on canned answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from bench.console.chromium import ARGUMENTS, chromium_path
from services.console.app import create
from shared.runtime.health import Health
from tests.browser.serving import served
from tests.pictures.market import HELD, NOW, PROCESSES, answer_of_process, serve_market
from tests.support.clocks import FixedClock
from tests.unit.console.conftest import SETTINGS
from tests.unit.console.fake_apis import FakeApis

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "console"
DESK, PHONE = ViewportSize(width=1280, height=720), ViewportSize(width=390, height=844)
Scheme = Literal["light", "dark"]
TRADE = f"/trades/{HELD['trade_id']}"
PAGES = {
    "exits": "/exits",
    "trade": TRADE,
    "force-exit": f"{TRADE}/exit",
    "bulk-exit": "/exits/bulk?product_type=MIS",
    "bulk-withdrawal": "/exits/withdraw/bulk?exit_reason=STOP_LOSS",
    "stops": "/exits/stops",
    "book": "/book",
    "nearest-stops": "/book/nearest",
    "outbox": "/outbox",
    "system": "/system",
    "kill-switch": "/system/kill-switch?mode=OFF",
}


class Picture(NamedTuple):
    """Page by its name, for a screen and a colour scheme."""

    page: str
    size: ViewportSize = DESK
    scheme: Scheme = "light"

    @property
    def file(self) -> str:
        """Return the name of its file."""
        screen = "-phone" if self.size == PHONE else ""
        return f"{self.page}{screen}{'-dark' if self.scheme == 'dark' else ''}.png"


KEPT = (
    *map(Picture, PAGES),
    Picture("exits", scheme="dark"),
    Picture("trade", scheme="dark"),
    *(Picture(page, PHONE) for page in ("exits", "trade", "stops", "book")),
    Picture("nearest-stops", PHONE, "dark"),
)
"""Pictures of the documentation."""
EVERY = tuple(Picture(page, size, scheme) for page in PAGES for size in (DESK, PHONE) for scheme in ("light", "dark"))


@dataclass(frozen=True)
class Studio:
    """A browser and a console on the answers of one morning."""

    browser: Browser
    url: str

    def take(self, picture: Picture, folder: Path) -> Path:
        """Take one picture; on a phone only the first screen of a long page."""
        context = self.browser.new_context(viewport=picture.size, color_scheme=picture.scheme)
        context.clock.set_fixed_time(NOW)
        page = context.new_page()
        page.goto(f"{self.url}/login?next=/system/rollout?mode=off")
        page.fill("#token", "operator-token")
        page.press("#token", "Enter")
        page.wait_for_url("**/system/rollout**")
        page.goto(self.url + PAGES[picture.page])
        for mark in page.locator("[data-live]").all():
            expect(mark).to_have_text("live")
        path = folder / picture.file
        page.screenshot(path=path, full_page=picture.size == DESK, animations="disabled")
        context.close()
        return path


@contextmanager
def studio(chromium: str) -> Iterator[Studio]:
    """Start the browser and the console; stop them at the end."""
    apis = FakeApis()
    serve_market(apis)

    async def handle(request: httpx.Request) -> httpx.Response:
        return answer_of_process(request) if request.url.host.startswith("p-") else await apis.handle(request)

    probed = ",".join(f"{name}=http://p-{name}" for name in PROCESSES)
    settings = SETTINGS.model_copy(update={"console_processes": probed, "console_refresh_ms": 1000})
    app = create(settings, Health(), FixedClock(NOW), httpx.MockTransport(handle))
    with served(app, "pictures of the console") as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield Studio(browser, url)
        browser.close()


def main(arguments: Sequence[str]) -> int:
    """Take the pictures; the exit status is 2 without Chromium."""
    options = _parser().parse_args(arguments)
    chromium = chromium_path()
    if chromium is None:
        sys.stderr.write("pictures: need Chromium: install it, or name it in CHROMIUM\n")
        return 2
    folder: Path = options.every or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with studio(chromium) as ready:
        for picture in EVERY if options.every else KEPT:
            sys.stdout.write(f"{ready.take(picture, folder)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description="Take the pictures of the console.")
    parser.add_argument(
        "--every", type=Path, metavar="FOLDER", help="each page on desk and phone, light and dark, into this folder"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
