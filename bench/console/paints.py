"""Time to the first paint of each page in a headless Chromium, and the CPU of one view of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, sync_playwright

from bench.console.chromium import ARGUMENTS, chromium_path
from bench.console.pending import PendingExits
from bench.relay.usage import cpu_seconds
from shared.errors import Unavailable

PROCESSES = ("console", "exit-api", "trade-api")
PAINTED = """() => new Promise(resolve => {
  const paint = entries => entries.find(entry => entry.name === "first-contentful-paint");
  const found = paint(performance.getEntriesByType("paint"));
  if (found) resolve(found.startTime);
  else new PerformanceObserver((list, observer) => {
    if (paint(list.getEntries())) { observer.disconnect(); resolve(paint(list.getEntries()).startTime); }
  }).observe({type: "paint", buffered: true});
})"""
CONTENT = """() => new Promise(resolve => {
  const told = entry => entry.element && !entry.element.closest(".top, .head, .filters");
  setTimeout(() => resolve(null), 300);
  new PerformanceObserver((list, observer) => {
    const found = list.getEntries().find(told);
    if (found) { observer.disconnect(); resolve(found.startTime); }
  }).observe({type: "largest-contentful-paint", buffered: true});
})"""
"""When the browser painted what the APIs told: a larger text outside the head of the page; null without one."""
ANSWERED = "() => performance.getEntriesByType('navigation')[0].responseEnd"
GOAL_MS = 100


@dataclass(frozen=True)
class PagePaints:
    """Views of one page.

    Attributes
    ----------
    painted_ms:
        From the start of each navigation to the first contentful paint.
    content_ms:
        To the paint of what the APIs told.
    answered_ms:
        From there to the end of the document.
    cpu_ms:
        CPU of one view, by process.
    """

    name: str
    painted_ms: list[float]
    content_ms: list[float]
    answered_ms: list[float]
    cpu_ms: dict[str, float]

    def row(self) -> str:
        """Return the row of the table."""
        cpu = ", ".join(f"{name} {value:.0f}" for name, value in self.cpu_ms.items())
        paints = sorted(self.painted_ms)
        p95 = paints[min(len(paints) - 1, int(0.95 * len(paints)))]
        content = f"{statistics.median(self.content_ms):.0f} ms" if self.content_ms else "not told"
        answered = statistics.median(self.answered_ms)
        return (
            f"| {self.name} | {statistics.median(paints):.0f} ms | {p95:.0f} ms | {content} "
            f"| {answered:.0f} ms | {cpu} |"
        )


HEAD = f"""| page | first paint (goal: ≤ {GOAL_MS} ms) | its 95 % | content painted | document | CPU ms of one view |
| --- | --- | --- | --- | --- | --- |"""


def paints(pending: PendingExits, views: int) -> Iterator[PagePaints]:
    """View each page so often, one view after the other, and return its figures.

    Raises
    ------
    Unavailable
        There is no Chromium.
    """
    path = chromium_path()
    if path is None:
        raise Unavailable("needs Chromium: install it, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        page = browser.new_page()
        _sign_in(page, pending.about)
        for name, path in _pages(pending.trade_id).items():
            yield _views(page, name, pending.about, path, views)
        browser.close()


def _pages(trade_id: str) -> dict[str, str]:
    return {
        "the browser alone: a line of text": "/healthz",
        "Exits": "/exits",
        "Book": "/book",
        "Outbox": "/outbox",
        "System": "/system",
        "Trade": f"/trades/{trade_id}",
    }


def _sign_in(page: Page, about: dict[str, Any]) -> None:
    page.goto(f"{about['console']}/login")
    page.fill("#token", about["token"])
    page.press("#token", "Enter")
    page.wait_for_url("**/exits")


def _views(page: Page, name: str, about: dict[str, Any], path: str, views: int) -> PagePaints:
    url = about["console"] + path
    page.goto(url)  # the first view also fills the caches of the templates and of the browser
    painted, content, answered, before = [], [], [], _cpu(about)
    for _ in range(views):
        page.goto(url)
        painted.append(float(page.evaluate(PAINTED)))
        content += [each for each in [page.evaluate(CONTENT)] if each is not None]
        answered.append(float(page.evaluate(ANSWERED)))
    spent = {process: 1000 * (seconds - before[process]) / views for process, seconds in _cpu(about).items()}
    return PagePaints(name, painted, content, answered, spent)


def _cpu(about: dict[str, Any]) -> dict[str, float]:
    return {name: cpu_seconds([about["processes"][name]]) for name in PROCESSES}
