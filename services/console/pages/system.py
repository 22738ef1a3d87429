"""Page: processes, kill switch, rollout, accounts at brokers, audit log."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.console.actions import Action, TextField, carry_out, show
from services.console.context import Answer, ConsoleContext, Context, OperatorForm, Visitor, attempt, distinct_faults
from services.console.pages.outbox import TITLES
from services.console.sessions import Session
from services.console.standstill import Standing
from services.console.wording import KILL_SWITCH_SENTENCES, ROLLOUT_SENTENCES
from shared.clock import trading_day
from shared.contracts.vocabulary import KillSwitchMode, RolloutMode
from shared.wording import plural

router = APIRouter(prefix="/system")

AUDIT_SHOWN = 25
MISSING_COUNTED = 25
BACK = "/system"
BrokerStatus = Annotated[str, Query(pattern="^(CONNECTED|DISCONNECTED)$")]


@dataclass(frozen=True)
class ActFilter:
    """Filter of the audit log; empty means any. `cursor` pages through exit-api's log."""

    actor: str = ""
    day: str = ""
    cursor: str = ""

    def url(self, **changes: str) -> str:
        """Return the URL of the log with this filter, or of one that differs by `changes`."""
        values = {name: value for name, value in {**asdict(self), **changes}.items() if value}
        return f"/system?{urlencode(values)}#audit"


def act_filter(
    actor: Annotated[str, Query(max_length=200)] = "",
    day: Annotated[str, Query(max_length=10)] = "",
    cursor: Annotated[str, Query(max_length=10_000)] = "",
) -> ActFilter:
    """Return the filter in a request."""
    return ActFilter(actor.strip(), day, cursor)


@router.get("")
async def system(
    request: Request, context: Context, session: Visitor, acts: Annotated[ActFilter, Depends(act_filter)]
) -> Response:
    """Show the state of the system and the operators' actions."""
    today = trading_day(context.clock.now())
    ask = partial(_answers, context, session, acts)
    return await context.pages.arriving(request, session, "system.html", ask, acts=acts, today=today)


async def _answers(context: ConsoleContext, session: Session, acts: ActFilter) -> dict[str, Any]:
    """Return the values of the page, from the answers of processes and APIs."""
    standing, kill_switch, rollout, brokers, exit_audit, trade_audit = await asyncio.gather(
        _standing(context, session),
        attempt(context.exit_api, session.token, "/kill-switch"),
        attempt(context.exit_api, session.token, "/rollout"),
        attempt(context.exit_api, session.token, "/brokers"),
        attempt(context.exit_api, session.token, "/audit", limit=AUDIT_SHOWN, **asdict(acts)),
        _trade_audit(context, session, acts),
    )
    return {
        "processes": standing.processes,
        "standing": standing,
        "signs": standing.signs(context.clock.now()),
        "kill_switch": kill_switch.body,
        "kill_switch_sentences": KILL_SWITCH_SENTENCES,
        "rollout": rollout.body,
        "rollout_sentences": ROLLOUT_SENTENCES,
        "brokers": brokers.items(),
        "audit": sorted(exit_audit.items() + trade_audit.items(), key=lambda entry: entry["at"], reverse=True),
        "next": (exit_audit.body or {}).get("next"),
        "faults": distinct_faults(kill_switch, rollout, brokers, exit_audit, trade_audit),
    }


async def _standing(context: ConsoleContext, session: Session) -> Standing:
    """Return the signs of a standstill."""
    exit_api, trade_api, token = context.exit_api, context.trade_api, session.token
    processes, pending, exit_outbox, trade_outbox, missing = await asyncio.gather(
        context.probes.all(),
        attempt(exit_api, token, "/exits/pending", limit=1, counts="true", gates="held"),
        attempt(exit_api, token, "/outbox"),
        attempt(trade_api, token, "/outbox"),
        attempt(exit_api, token, "/protective-stops/missing", limit=MISSING_COUNTED),
    )
    outboxes = dict(zip(TITLES.values(), (exit_outbox.body, trade_outbox.body), strict=True))
    return Standing(processes, pending.body, outboxes, missing.body)


async def _trade_audit(context: ConsoleContext, session: Session, acts: ActFilter) -> Answer:
    """Return the newest entries of trade-api; they stand on the first page alone."""
    if acts.cursor:
        return Answer({"items": []})
    return await attempt(context.trade_api, session.token, "/audit", limit=AUDIT_SHOWN, **asdict(acts))


@router.get("/kill-switch")
async def preview_kill_switch(
    request: Request, context: Context, session: Visitor, mode: KillSwitchMode
) -> HTMLResponse:
    """Show the effect of the mode."""
    return show(request, context, session, _kill_switch(mode))


@router.post("/kill-switch")
async def kill_switch(request: Request, context: Context, form: OperatorForm) -> Response:
    """Set the kill switch; list the orders still able to reach a broker."""
    mode = KillSwitchMode(form["mode"]) if form["mode"] in set(KillSwitchMode) else KillSwitchMode.ALL

    async def act(reason: str) -> str:
        done = await context.exit_api.put(form.session.token, "/kill-switch", {"mode": mode, "reason": reason})
        late = len(done["on_their_way"])
        left = f" {plural(late, 'order')} handed over before may still reach the broker." if late else ""
        return f"The kill switch is {done['mode']}.{left}"

    return await carry_out(request, context, form, _kill_switch(mode), act)


def _kill_switch(mode: KillSwitchMode) -> Action:
    more = {
        KillSwitchMode.ALL: [
            "Waiting exits stay pending; stops keep waiting, targets expire after their time.",
            "Orders already at a broker are not cancelled.",
        ],
        KillSwitchMode.OFF: ["Pending exits are sent at once if their other gates pass."],
    }
    return Action(
        title=f"Set the kill switch to {mode}",
        path="/system/kill-switch",
        button=f"Set to {mode}",
        back=BACK,
        consequences=[KILL_SWITCH_SENTENCES[mode], *more.get(mode, [])],
        word=mode,
        is_grave=mode is not KillSwitchMode.OFF,
        hidden={"mode": mode},
    )


@router.get("/rollout")
async def preview_rollout(request: Request, context: Context, session: Visitor, mode: RolloutMode) -> HTMLResponse:
    """Show the effect of the mode, with the lists of mode limited."""
    now = await context.exit_api.get(session.token, "/rollout")
    return show(request, context, session, _rollout(mode, "\n".join(now["symbols"]), "\n".join(now["user_broker_ids"])))


@router.post("/rollout")
async def rollout(request: Request, context: Context, form: OperatorForm) -> Response:
    """Set the rollout."""
    mode = RolloutMode(form["mode"]) if form["mode"] in set(RolloutMode) else RolloutMode.OFF
    symbols, accounts = form["symbols"], form["user_broker_ids"]

    async def act(reason: str) -> str:
        lists = {"symbols": symbols.split(), "user_broker_ids": accounts.split()}
        done = await context.exit_api.put(form.session.token, "/rollout", {"mode": mode, "reason": reason, **lists})
        return f"The rollout is {done['mode']}."

    return await carry_out(request, context, form, _rollout(mode, symbols, accounts), act)


def _rollout(mode: RolloutMode, symbols: str, accounts: str) -> Action:
    lists = (
        TextField("symbols", "Symbols, one a line", symbols),
        TextField("user_broker_ids", "Accounts, one a line", accounts),
    )
    return Action(
        title=f"Set the rollout to {mode}",
        path="/system/rollout",
        button=f"Set to {mode}",
        back=BACK,
        consequences=[ROLLOUT_SENTENCES[mode], "It applies from the next tick."],
        word=mode,
        hidden={"mode": mode},
        fields=lists if mode is RolloutMode.LIMITED else (),
    )


@router.get("/brokers/{user_broker_id}")
async def preview_broker(
    request: Request, user_broker_id: str, context: Context, session: Visitor, status: BrokerStatus
) -> HTMLResponse:
    """Show the effect of connecting or disconnecting the account."""
    return show(request, context, session, _broker(user_broker_id, status))


@router.post("/brokers/{user_broker_id}")
async def broker(request: Request, user_broker_id: str, context: Context, form: OperatorForm) -> Response:
    """Connect or disconnect the account; everything else of it stays."""
    status = "CONNECTED" if form["status"] == "CONNECTED" else "DISCONNECTED"

    async def act(reason: str) -> str:
        path = f"/brokers/{user_broker_id}"
        now = await context.exit_api.get(form.session.token, path)
        kept = {name: now[name] for name in ("broker", "account", "root_url")}
        await context.exit_api.put(form.session.token, path, {**kept, "status": status, "reason": reason})
        return f"Account {user_broker_id} is {status.lower()}."

    return await carry_out(request, context, form, _broker(user_broker_id, status), act)


def _broker(user_broker_id: str, status: str) -> Action:
    connects = status == "CONNECTED"
    return Action(
        title=f"{'Connect' if connects else 'Disconnect'} account {user_broker_id}",
        path=f"/system/brokers/{user_broker_id}",
        button="Connect" if connects else "Disconnect",
        back=BACK,
        consequences=(
            ["Waiting exits of the account are sent at once if their other gates pass."]
            if connects
            else ["Exits of the account wait until it is connected.", "Orders already at the broker go on."]
        ),
        word=user_broker_id,
        is_grave=not connects,
        hidden={"status": status},
    )
