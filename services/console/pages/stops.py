"""Page: protective stops held by brokers for trades, live, with filters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from services.console.context import Answer, ConsoleContext, Context, Visitor, attempt
from services.console.live import Fragments, LiveRows, Look, SeenState, first_look, live_response, together
from services.console.sessions import Session
from services.console.wording import STOP_STATUSES

router = APIRouter(prefix="/exits/stops")

PAGE = 25
_Text = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True)
class StopFilter:
    """Filter of the list; empty means any status but ended ones, any symbol, any account."""

    symbol: str = ""
    user_broker_id: str = ""
    status: str = ""
    cursor: str = ""

    def url(self, path: str = "/exits/stops", **changes: str) -> str:
        """Return the URL of this list, or of one that differs by `changes`."""
        values = {name: value for name, value in {**asdict(self), **changes}.items() if value}
        return f"{path}?{urlencode(values)}" if values else path

    @property
    def is_narrow(self) -> bool:
        """Return True if any filter is set."""
        return any((self.symbol, self.user_broker_id, self.status))


def stop_filter(
    symbol: _Text = "",
    user_broker_id: _Text = "",
    status: _Text = "",
    cursor: Annotated[str, Query(max_length=10_000)] = "",
) -> StopFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return StopFilter(symbol.strip().upper(), user_broker_id.strip(), status, cursor)


Wanted = Annotated[StopFilter, Depends(stop_filter)]


@router.get("")
async def stops(request: Request, context: Context, session: Visitor, wanted: Wanted) -> Response:
    """Show the list; the browser then connects to the stream of its changes."""
    look = _look(context, session, wanted)
    return await context.pages.arriving(
        request, session, "stops.html", partial(first_look, look), wanted=wanted, statuses=STOP_STATUSES
    )


@router.get("/stream")
async def stream(
    request: Request, context: Context, session: Visitor, wanted: Wanted, seen: SeenState
) -> StreamingResponse:
    """Send the rows and the state of the list each time they change."""
    return live_response(request, context, _look(context, session, wanted), seen)


def _look(context: ConsoleContext, session: Session, wanted: StopFilter) -> Look:
    def rows(answer: Answer) -> Fragments:
        return {"rows": context.pages.text("stop_rows.html", answer=answer, wanted=wanted)}

    def missing(answer: Answer) -> Fragments:
        return {"missing": context.pages.text("missing_stops.html", missing=answer)}

    return together(
        LiveRows(context.pages, partial(_ask, context, session, wanted), rows),
        LiveRows(context.pages, partial(_ask_missing, context, session), missing),
    )


async def _ask(context: ConsoleContext, session: Session, wanted: StopFilter) -> Answer:
    query = asdict(wanted) | {"standing": None if wanted.status else True, "limit": PAGE}
    return await attempt(context.exit_api, session.token, "/protective-stops", **query)


async def _ask_missing(context: ConsoleContext, session: Session) -> Answer:
    """Return the trades without a stop although their plan asks for one, whatever the filters."""
    return await attempt(context.exit_api, session.token, "/protective-stops/missing", limit=PAGE)
