"""Server-sent events: a fragment of a page each time its content changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from fastapi import Request
from fastapi.responses import StreamingResponse

from services.console.api_client import ApiFault, Json
from services.console.context import Answer
from services.console.rendering import Pages
from shared.clock import Clock

LONGEST_STREAM_S = 300.0
"""A browser connects again afterwards, and an ended session shows."""
SILENCE_S = 15.0
"""A comment is sent after this time without a change: browsers notice a lost connection."""
LONGEST_PAUSE_S = 0.25
"""How long the end of the server may wait for a stream."""

Fragments = Mapping[str, str]


class LiveEvents:
    """Fragments by event name, looked at again and again and sent when they differ from the last ones sent.

    Parameters
    ----------
    look:
        Return the current fragments.
    every_s:
        Pause between two looks.
    is_stopping:
        Return True once the server ends.
    """

    def __init__(
        self, look: Callable[[], Awaitable[Fragments]], every_s: float, clock: Clock, is_stopping: Callable[[], bool]
    ) -> None:
        self._look = look
        self._every_s = every_s
        self._clock = clock
        self._is_stopping = is_stopping

    async def stream(self) -> AsyncIterator[str]:
        """Yield the text of the stream until its longest time has passed or the server ends."""
        sent: dict[str, str] = {}
        began = spoke = self._clock.monotonic()
        yield f"retry: {round(self._every_s * 1000)}\n\n"
        while not self._is_stopping() and self._clock.monotonic() - began < LONGEST_STREAM_S:
            for name, html in (await self._look()).items():
                if sent.get(name) != html:
                    sent[name] = html
                    spoke = self._clock.monotonic()
                    yield event(name, html)
            if self._clock.monotonic() - spoke > SILENCE_S:
                spoke = self._clock.monotonic()
                yield ": nothing changed\n\n"
            await self._pause()

    async def _pause(self) -> None:
        left = self._every_s
        while left > 0 and not self._is_stopping():
            await asyncio.sleep(min(left, LONGEST_PAUSE_S))
            left -= LONGEST_PAUSE_S


def event(name: str, html: str) -> str:
    """Return one event of a stream."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


class LiveRows:
    """Fragments of one list; its rows are rendered only when the list has changed.

    Parameters
    ----------
    name:
        Name of the fragment with the rows.
    ask:
        Return the list from an API.
    rows:
        Render it.
    """

    def __init__(
        self,
        pages: Pages,
        ask: Callable[[], Awaitable[Answer]],
        rows: Callable[[Answer], str],
        name: str = "rows",
    ) -> None:
        self._name = name
        self._pages = pages
        self._ask = ask
        self._rows = rows
        self._rendered: Json | None = None
        self._html = ""

    async def look(self) -> Fragments:
        """Return the rows; without an answer only the fault: the browser keeps the last rows."""
        try:
            answer = await self._ask()
        except ApiFault as fault:
            return {"fault": self._pages.text("fault.html", fault=fault)}
        if answer.fault is not None:
            return {"fault": self._pages.text("fault.html", fault=answer.fault)}
        content = {**(answer.body or {}), "items": [_without_age(item) for item in answer.items()]}
        if content != self._rendered:
            self._rendered, self._html = content, self._rows(answer)
        return {"fault": "", self._name: self._html}


def _without_age(item: Json) -> Json:
    """Return an item without its age: it changes at each look, and the browser counts it."""
    return {name: value for name, value in item.items() if name != "age_ms"}


def live_response(
    request: Request, look: Callable[[], Awaitable[Fragments]], every_s: float, clock: Clock
) -> StreamingResponse:
    """Return the answer with the stream of fragments; it ends when the browser leaves."""
    is_stopping: Callable[[], bool] = getattr(request.app.state, "is_stopping", lambda: False)
    events = LiveEvents(look, every_s, clock, is_stopping)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events.stream(), media_type="text/event-stream", headers=headers)
