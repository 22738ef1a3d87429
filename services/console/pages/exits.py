"""Page: exits, live, with filters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from services.console.context import Answer, ConsoleContext, Context, Visitor, attempt
from services.console.live import LiveRows, live_response
from services.console.sessions import Session
from services.console.wording import PENDING_STATUSES, REASONS, STATUSES

router = APIRouter(prefix="/exits")

PAGE = 25
AGES = ((10, "10 s"), (60, "1 minute"), (300, "5 minutes"), (3600, "1 hour"))
_Text = Annotated[str, Query(max_length=100)]


@dataclass(frozen=True)
class ExitFilter:
    """Filter of the list; empty means any.

    Attributes
    ----------
    view:
        `pending`: exits still under way, oldest first. `all`: every exit, newest first.
    older_than_s:
        Least age in seconds, in view pending.
    """

    view: Literal["pending", "all"] = "pending"
    symbol: str = ""
    user_broker_id: str = ""
    exit_reason: str = ""
    status: str = ""
    older_than_s: str = ""
    cursor: str = ""

    def url(self, path: str = "/exits", **changes: str) -> str:
        """Return the URL of this list, or of one different by `changes`."""
        values = {name: value for name, value in {**asdict(self), **changes}.items() if value}
        return f"{path}?{urlencode(values)}" if values else path

    def query(self) -> dict[str, str]:
        """Return the query of the API's list, without the age in view all."""
        wanted = {name: value for name, value in asdict(self).items() if name != "view" and value}
        if self.view == "all":
            wanted.pop("older_than_s", None)
            wanted["order"] = "newest"
        elif self.status not in PENDING_STATUSES:
            wanted.pop("status", None)
        return wanted

    @property
    def is_narrow(self) -> bool:
        """Return True if any filter is set."""
        return any((self.symbol, self.user_broker_id, self.exit_reason, self.status, self.older_than_s))


def exit_filter(
    view: Literal["pending", "all"] = "pending",
    symbol: _Text = "",
    user_broker_id: _Text = "",
    exit_reason: _Text = "",
    status: _Text = "",
    older_than_s: _Text = "",
    cursor: Annotated[str, Query(max_length=10_000)] = "",
) -> ExitFilter:
    """Return the filter in a request; symbols are written in capitals."""
    return ExitFilter(view, symbol.strip().upper(), user_broker_id.strip(), exit_reason, status, older_than_s, cursor)


Wanted = Annotated[ExitFilter, Depends(exit_filter)]


@router.get("")
async def exits(request: Request, context: Context, session: Visitor, wanted: Wanted) -> HTMLResponse:
    """Show the list; the browser then connects to the stream of its changes."""
    return context.pages.page(
        request,
        session,
        "exits.html",
        wanted=wanted,
        answer=await _ask(context, session, wanted),
        reasons=REASONS,
        statuses=STATUSES if wanted.view == "all" else PENDING_STATUSES,
        ages=AGES,
    )


@router.get("/stream")
async def stream(request: Request, context: Context, session: Visitor, wanted: Wanted) -> StreamingResponse:
    """Send the rows and the state of the list each time they change."""

    def rows(answer: Answer) -> str:
        return context.pages.text("exit_rows.html", answer=answer, wanted=wanted, session=session)

    live = LiveRows(context.pages, lambda: _ask(context, session, wanted), rows)
    return live_response(request, live.look, context.refresh_s, context.clock)


async def _ask(context: ConsoleContext, session: Session, wanted: ExitFilter) -> Answer:
    path = "/exits/pending" if wanted.view == "pending" else "/exits"
    return await attempt(context.exit_api, session.token, path, limit=PAGE, gates="held", **wanted.query())
