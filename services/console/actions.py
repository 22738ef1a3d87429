"""Changes by an operator: the consequences first, then the reason, where it matters a typed word, then the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.console.api_client import ApiFault
from services.console.context import ConsoleContext, PostedForm
from services.console.sessions import Session

LONGEST_REASON = 500


def accept(_: str) -> str:
    """Return no complaint about any text."""
    return ""


@dataclass(frozen=True)
class TextField:
    """A text to enter.

    Attributes
    ----------
    is_line:
        One line; otherwise several lines, one entry a line.
    check:
        Returns the fault of a text; empty if it can be sent.
    """

    name: str
    label: str
    value: str
    is_line: bool = False
    check: Callable[[str], str] = accept


@dataclass(frozen=True)
class Choice:
    """Link to another form of the same change."""

    name: str
    url: str
    is_current: bool


@dataclass(frozen=True)
class Action:
    """A change to confirm.

    Attributes
    ----------
    path:
        Where the form is sent to.
    consequences:
        One sentence each.
    obstacle:
        Why it cannot be done now; then there is no form.
    word:
        The operator's typed confirmation; empty if the button is enough.
    hidden:
        Fields sent back by the form as they are.
    """

    title: str
    path: str
    button: str
    back: str
    consequences: Sequence[str]
    obstacle: str = ""
    word: str = ""
    is_grave: bool = True
    hidden: Mapping[str, str] = field(default_factory=dict)
    fields: Sequence[TextField] = ()
    choices: Sequence[Choice] = ()


def show(
    request: Request,
    context: ConsoleContext,
    session: Session,
    action: Action,
    *,
    faults: Sequence[ApiFault] = (),
    reason: str = "",
    wrong: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return the page for confirmation; `wrong` has a sentence for each field to correct."""
    return context.pages.page(
        request,
        session,
        "action.html",
        status=422 if wrong or faults else 200,
        action=action,
        faults=faults,
        reason=reason,
        wrong=wrong or {},
    )


async def carry_out(
    request: Request,
    context: ConsoleContext,
    form: PostedForm,
    action: Action,
    act: Callable[[str], Awaitable[str]],
) -> Response:
    """Call `act` with the reason if the form is complete; lead back with its sentence.

    A refusal by the API is shown on the same page, with the operator's input.
    """
    reason, wrong = form["reason"], _wrong(form, action)
    if wrong or action.obstacle:
        return show(request, context, form.session, action, reason=reason, wrong=wrong)
    try:
        notice = await act(reason)
    except ApiFault as fault:
        if fault.status == 401:
            raise
        return show(request, context, form.session, action, faults=[fault], reason=reason)
    response = RedirectResponse(action.back, 303)
    context.cookies.write(response, form.session.with_notice(notice))
    return response


def _wrong(form: PostedForm, action: Action) -> dict[str, str]:
    wrong = {each.name: problem for each in action.fields if (problem := each.check(each.value))}
    if not form["reason"]:
        wrong["reason"] = "Write the reason."
    elif len(form["reason"]) > LONGEST_REASON:
        wrong["reason"] = f"Write at most {LONGEST_REASON} characters."
    if action.word and form["word"] != action.word:
        wrong["word"] = f"Type {action.word} exactly."
    return wrong
