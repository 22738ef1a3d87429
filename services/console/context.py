"""The common tools of the console's routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from services.console.api_client import Api, ApiFault, Json
from services.console.readiness import ProcessProbes
from services.console.rendering import Pages
from services.console.sessions import Session, SessionCookies, check_csrf
from shared.clock import Clock
from shared.errors import ExitflowError, Forbidden


class SignInNeeded(ExitflowError):
    """The request has no session, or its token is no longer valid."""

    code = "sign_in_needed"
    http_status = 401


@dataclass(frozen=True)
class ConsoleContext:
    """The two APIs, the processes, the sessions, the templates."""

    exit_api: Api
    trade_api: Api
    probes: ProcessProbes
    cookies: SessionCookies
    pages: Pages
    clock: Clock
    refresh_s: float
    trace_url: str

    async def close(self) -> None:
        """Close the connections to the APIs."""
        await self.exit_api.close()
        await self.trade_api.close()
        await self.probes.close()


def context_of(request: Request) -> ConsoleContext:
    """Return the application's context."""
    return cast("ConsoleContext", request.app.state.context)


Context = Annotated[ConsoleContext, Depends(context_of)]


def signed_in(request: Request, context: Context) -> Session:
    """Return the operator's session.

    Raises
    ------
    SignInNeeded
        There is none.
    """
    session = context.cookies.read(request)
    if session is None or not session.signed_in:
        raise SignInNeeded("Sign in to go on.")
    return session


Visitor = Annotated[Session, Depends(signed_in)]


@dataclass(frozen=True)
class PostedForm:
    """A form sent by an operator, checked to come from a page of the session."""

    session: Session
    fields: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "").strip()


async def posted(request: Request, session: Visitor) -> PostedForm:
    """Return the form of an operator.

    Raises
    ------
    Forbidden
        The form does not belong to the session, or the token may not change anything.
    """
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    check_csrf(request, session, fields.get("csrf", ""))
    if not session.may_operate:
        raise Forbidden("Your token may only read. Sign in with a token of scope operate to change something.")
    return PostedForm(session, fields)


OperatorForm = Annotated[PostedForm, Depends(posted)]


@dataclass(frozen=True)
class Answer:
    """The answer of an API, or the reason without one."""

    body: Json | None
    fault: ApiFault | None = None

    def items(self) -> list[Json]:
        """Return the items of a list; empty without an answer."""
        found: list[Json] = (self.body or {}).get("items", [])
        return found


async def attempt(api: Api, token: str, path: str, **query: object) -> Answer:
    """Return the answer to a GET, or the fault: the rest of a page can still be shown.

    Raises
    ------
    ApiFault
        The token is no longer valid.
    """
    try:
        return Answer(await api.get(token, path, **query))
    except ApiFault as fault:
        if fault.status == 401:
            raise
        return Answer(None, fault)


def distinct_faults(*answers: Answer) -> list[ApiFault]:
    """Return why answers are missing, each message once."""
    return list({str(each.fault): each.fault for each in answers if each.fault is not None}.values())
