"""Server-sent events: a fragment of a page each time its content changes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.responses import StreamingResponse

from services.console.api_client import ApiFault, Json
from services.console.context import Answer, ConsoleContext
from services.console.rendering import Pages
from shared.clock import Clock

LONGEST_STREAM_S = 300.0
"""A browser connects again afterwards, and an ended session shows."""
SILENCE_S = 15.0
"""A comment is sent after this time without a change: browsers notice a lost connection."""
LONGEST_PAUSE_S = 0.25
"""How long the end of the server may wait for a stream."""
UNFINISHED = "unfinished"
"""State of a page with some of the fragments of one change."""

Fragments = Mapping[str, str]
Look = Callable[[], Awaitable[Fragments]]
"""Return the current fragments of a page by event name."""


def state_of(fragments: Fragments) -> str:
    """Return a short name of these fragments."""
    return hashlib.sha256(json.dumps(sorted(fragments.items())).encode()).hexdigest()[:16]


def seen_state(request: Request, seen: Annotated[str, Query(max_length=64)] = "") -> str:
    """Return the state shown by a browser: of the last event after a lost connection, else of its page."""
    return request.headers.get("last-event-id", seen)


SeenState = Annotated[str, Depends(seen_state)]


async def first_look(look: Look) -> dict[str, Any]:
    """Return the first fragments of a page, and the name of their state for its stream."""
    fragments = await look()
    return {"fragments": fragments, "state": state_of(fragments)}


class LiveEvents:
    """Fragments by event name, looked at again and again and sent when they differ from the last ones sent.

    Parameters
    ----------
    every_s:
        Pause between two looks.
    is_stopping:
        Return True once the server ends.
    seen:
        State shown by the browser already. Without one the first look is at once.
    """

    def __init__(
        self, look: Look, every_s: float, clock: Clock, is_stopping: Callable[[], bool], seen: str = ""
    ) -> None:
        self._look = look
        self._every_s = every_s
        self._clock = clock
        self._is_stopping = is_stopping
        self._seen = seen
        self._sent: dict[str, str] = {}

    async def stream(self) -> AsyncIterator[str]:
        """Yield the text of the stream until its longest time has passed or the server ends."""
        began = spoke = self._clock.monotonic()
        yield f"retry: {round(self._every_s * 1000)}\n\n"
        if self._seen:
            await self._pause()
        while not self._is_stopping() and self._clock.monotonic() - began < LONGEST_STREAM_S:
            changed = self._changed(await self._look())
            if changed:
                spoke = self._clock.monotonic()
                for told in _events(changed, state_of(self._sent)):
                    yield told
            if self._clock.monotonic() - spoke > SILENCE_S:
                spoke = self._clock.monotonic()
                yield ": nothing changed\n\n"
            await self._pause()

    def _changed(self, found: Fragments) -> Fragments:
        """Return the fragments to send, and remember them as sent."""
        if not self._sent and state_of(found) == self._seen:
            self._sent.update(found)
        changed = {name: html for name, html in found.items() if self._sent.get(name) != html}
        self._sent.update(changed)
        return changed

    async def _pause(self) -> None:
        left = self._every_s
        while left > 0 and not self._is_stopping():
            await asyncio.sleep(min(left, LONGEST_PAUSE_S))
            left -= LONGEST_PAUSE_S


def _events(changed: Fragments, state: str) -> Iterator[str]:
    """Yield the fragments as events; only the last one completes the state."""
    for number, (name, html) in enumerate(changed.items(), 1):
        yield event(name, html, state if number == len(changed) else UNFINISHED)


def event(name: str, html: str, state: str) -> str:
    """Return one event of a stream, with the state of the page once it has got the event."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
    return f"event: {name}\nid: {state}\n{lines}\n"


class LiveRows:
    """Fragments of one list, rendered only when the list has changed.

    Parameters
    ----------
    ask:
        Return the list from an API.
    render:
        Return its fragments.
    """

    def __init__(
        self,
        pages: Pages,
        ask: Callable[[], Awaitable[Answer]],
        render: Callable[[Answer], Fragments],
    ) -> None:
        self._pages = pages
        self._ask = ask
        self._render = render
        self._rendered: Json | None = None
        self._fragments: Fragments = {}

    async def look(self) -> Fragments:
        """Return the fragments; without an answer only the fault: the browser keeps the last rows.

        Raises
        ------
        ApiFault
            The token is no longer valid.
        """
        answer = await self._ask()
        if answer.fault is not None:
            return {"fault": self._pages.text("fault.html", fault=answer.fault)}
        content = {**(answer.body or {}), "items": [_without_age(item) for item in answer.items()]}
        if content != self._rendered:
            self._rendered, self._fragments = content, self._render(answer)
        return {"fault": "", **self._fragments}


def together(*lists: LiveRows) -> Look:
    """Return a look at several lists at the same time, with the first fault."""

    async def look() -> Fragments:
        found = await asyncio.gather(*(each.look() for each in lists))
        fault = next((each["fault"] for each in found if each["fault"]), "")
        return {name: html for each in found for name, html in each.items()} | {"fault": fault}

    return look


def _without_age(item: Json) -> Json:
    """Return an item without its age: the age changes at each look, and the browser counts it."""
    return {name: value for name, value in item.items() if name != "age_ms"}


def live_response(request: Request, context: ConsoleContext, look: Look, seen: str) -> StreamingResponse:
    """Return the answer with the stream of fragments; it ends when the browser leaves."""

    async def look_or_fault() -> Fragments:
        try:
            return await look()
        except ApiFault as fault:
            return {"fault": context.pages.text("fault.html", fault=fault)}

    is_stopping: Callable[[], bool] = getattr(request.app.state, "is_stopping", lambda: False)
    events = LiveEvents(look_or_fault, context.refresh_s, context.clock, is_stopping, seen)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events.stream(), media_type="text/event-stream", headers=headers)
