"""Page: exits, live, with filters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from services.console.context import Answer, ConsoleContext, Context, Visitor, attempt
from services.console.live import Fragments, LiveRows, Look, SeenState, first_look, live_response
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
        """Return the URL of this list, or of one that differs by `changes`."""
        return _url(path, {**asdict(self), **changes})

    @property
    def withdrawal_url(self) -> str:
        """Return the URL of the withdrawal of exits with this symbol, account and reason."""
        names = ("symbol", "user_broker_id", "exit_reason")
        return _url("/exits/withdraw/bulk", {name: getattr(self, name) for name in names})

    @property
    def api_path(self) -> str:
        """Return the path of the API's list."""
        return "/exits/pending" if self.view == "pending" else "/exits"

    def query(self) -> dict[str, str]:
        """Return the query of the API's list, without the age in view all."""
        wanted = {name: value for name, value in asdict(self).items() if name != "view" and value} | {"gates": "held"}
        if self.view == "all":
            wanted.pop("older_than_s", None)
            return wanted | {"order": "newest"}
        if self.status not in PENDING_STATUSES:
            wanted.pop("status", None)
        return wanted | {"counts": "true"}

    @property
    def is_narrow(self) -> bool:
        """Return True if any filter is set."""
        return any((self.symbol, self.user_broker_id, self.exit_reason, self.status, self.older_than_s))


def _url(path: str, values: Mapping[str, str]) -> str:
    given = {name: value for name, value in values.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


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
async def exits(request: Request, context: Context, session: Visitor, wanted: Wanted) -> Response:
    """Show the list; the browser then connects to the stream of its changes."""
    return await context.pages.arriving(
        request,
        session,
        "exits.html",
        partial(first_look, _look(context, session, wanted)),
        wanted=wanted,
        reasons=REASONS,
        statuses=STATUSES if wanted.view == "all" else PENDING_STATUSES,
        ages=AGES,
    )


@router.get("/stream")
async def stream(
    request: Request, context: Context, session: Visitor, wanted: Wanted, seen: SeenState
) -> StreamingResponse:
    """Send the rows, their number and the state of the list each time they change."""
    return live_response(request, context, _look(context, session, wanted), seen)


def _look(context: ConsoleContext, session: Session, wanted: ExitFilter) -> Look:
    """Return a look at the list, and at the number of pending exits by status."""

    def render(answer: Answer) -> Fragments:
        counts = (answer.body or {}).get("counts")
        return {
            "counts": context.pages.text(
                "exit_counts.html", counts=counts, wanted=wanted, session=session, statuses=PENDING_STATUSES
            ),
            "rows": context.pages.text("exit_rows.html", answer=answer, wanted=wanted, session=session),
        }

    async def ask() -> Answer:
        return await attempt(context.exit_api, session.token, wanted.api_path, limit=PAGE, **wanted.query())

    return LiveRows(context.pages, ask, render).look
