"""Page: both outboxes, their shards and parked events; replay, discard, pause and resume."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from services.console.actions import Action, carry_out, show
from services.console.api_client import Api, Json
from services.console.context import Answer, ConsoleContext, Context, OperatorForm, PostedForm, Visitor, attempt
from services.console.live import Fragments, Look, SeenState, first_look, live_response
from services.console.sessions import Session
from shared.wording import plural

router = APIRouter(prefix="/outbox")

Side = Literal["exit", "trade"]
SIDES: tuple[Side, ...] = ("exit", "trade")
TITLES = {"exit": "Exit qualification", "trade": "Trade management"}
PARKED_SHOWN = 100
PARKED_PAGE = 500
MOST_PAGES = 20
Text = Annotated[str, Query(max_length=1000)]
Shard = Annotated[int, Path(ge=0, le=63)]


@dataclass(frozen=True)
class OutboxSide:
    """One outbox as the page shows it."""

    side: Side
    title: str
    status: Answer
    parked: Answer


@router.get("")
async def outbox(request: Request, context: Context, session: Visitor) -> Response:
    """Show both outboxes; the browser then connects to the stream of their changes."""
    return await context.pages.arriving(request, session, "outbox.html", partial(first_look, _look(context, session)))


@router.get("/stream")
async def stream(request: Request, context: Context, session: Visitor, seen: SeenState) -> StreamingResponse:
    """Send each outbox when it changes."""
    return live_response(request, context, _look(context, session), seen)


def _look(context: ConsoleContext, session: Session) -> Look:
    async def look() -> Fragments:
        sides = await asyncio.gather(*(_side(context, session, side) for side in SIDES))
        return {"fault": ""} | {
            each.side: context.pages.text("outbox_side.html", each=each, session=session) for each in sides
        }

    return look


@router.get("/{side}/replay")
async def preview_replay(
    request: Request, side: Side, context: Context, session: Visitor, topic: Text, key: Text = ""
) -> HTMLResponse:
    """Show how many events would be sent where."""
    return show(request, context, session, await _replay(context, session, side, topic, key))


@router.post("/{side}/replay")
async def replay(request: Request, side: Side, context: Context, form: OperatorForm) -> Response:
    """Ask the relay to send the parked events of a topic, or of one key, again."""
    topic, key, session = form["topic"], form["key"], form.session

    async def act(reason: str) -> str:
        body = {"topic": topic, "reason": reason, **({"key": key} if key else {})}
        done = await _api(context, side).post(session.token, "/outbox/parked/replay", body)
        before = f"; {done['already_requested']} were asked for before" if done["already_requested"] else ""
        return f"The relay sends {plural(done['requested'], 'event')} again{before}."

    return await carry_out(request, context, form, await _replay(context, session, side, topic, key), act)


@router.get("/{side}/discard")
async def preview_discard(
    request: Request, side: Side, context: Context, session: Visitor, topic: Text, key: Text, event_id: Text
) -> HTMLResponse:
    """Show the loss."""
    return show(request, context, session, await _discard(context, session, side, (topic, key, event_id)))


@router.post("/{side}/discard")
async def discard(request: Request, side: Side, context: Context, form: OperatorForm) -> Response:
    """Ask the relay to send a Discarded event in place of a parked one."""
    session, named = form.session, (form["topic"], form["key"], form["event_id"])

    async def act(reason: str) -> str:
        body = {"event_id": named[2], "reason": reason}
        await _api(context, side).post(session.token, "/outbox/parked/discard", body)
        return "The relay sends a Discarded event in place of the event."

    return await carry_out(request, context, form, await _discard(context, session, side, named), act)


@router.get("/{side}/shards/{shard}/{act}")
async def preview_shard(
    request: Request, side: Side, shard: Shard, act: Literal["pause", "resume"], context: Context, session: Visitor
) -> HTMLResponse:
    """Show the effect of pausing or resuming the shard."""
    return show(request, context, session, await _shard(context, session, side, shard, act))


@router.post("/{side}/shards/{shard}/pause")
async def pause(request: Request, side: Side, shard: Shard, context: Context, form: OperatorForm) -> Response:
    """Stop publishing a shard."""
    return await _set_shard(request, context, form, side, shard, "pause")


@router.post("/{side}/shards/{shard}/resume")
async def resume(request: Request, side: Side, shard: Shard, context: Context, form: OperatorForm) -> Response:
    """Publish a shard again."""
    return await _set_shard(request, context, form, side, shard, "resume")


async def _set_shard(
    request: Request, context: ConsoleContext, form: PostedForm, side: Side, shard: int, act: str
) -> Response:
    async def do(reason: str) -> str:
        body = {"reason": reason}
        done = await _api(context, side).post(form.session.token, f"/outbox/shards/{shard}/{act}", body)
        return f"Shard {shard} of {TITLES[side]} is {'paused' if done['paused'] else 'published again'}."

    return await carry_out(request, context, form, await _shard(context, form.session, side, shard, act), do)


def _api(context: ConsoleContext, side: Side) -> Api:
    return context.exit_api if side == "exit" else context.trade_api


async def _side(context: ConsoleContext, session: Session, side: Side) -> OutboxSide:
    """Return the state of an outbox, and its parked events if it has any."""
    api, parked = _api(context, side), Answer({"items": []})
    status = await attempt(api, session.token, "/outbox")
    if status.body is not None and status.body["totals"]["parked"]:
        parked = await attempt(api, session.token, "/outbox/parked", limit=PARKED_SHOWN)
    return OutboxSide(side, TITLES[side], status, parked)


async def _parked(
    context: ConsoleContext, session: Session, side: Side, topic: str, key: str
) -> tuple[list[Json], bool]:
    """Return the parked events of a topic or key, and whether there are more than were read."""
    found: list[Json] = []
    cursor = None
    for _ in range(MOST_PAGES):
        page = await _api(context, side).get(
            session.token, "/outbox/parked", topic=topic, key=key, cursor=cursor, limit=PARKED_PAGE
        )
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found, False
    return found, True


async def _replay(context: ConsoleContext, session: Session, side: Side, topic: str, key: str) -> Action:
    events, has_more = await _parked(context, session, side, topic, key)
    return Action(
        title="Replay parked events",
        path=f"/outbox/{side}/replay",
        button=f"Replay {plural(len(events), 'event')}" + (" and more" if has_more else ""),
        back="/outbox",
        consequences=replay_consequences(events, topic, has_more=has_more),
        obstacle="" if events else "Nothing is parked there any more.",
        is_grave=False,
        hidden={"topic": topic, "key": key},
    )


def replay_consequences(events: Sequence[Json], topic: str, *, has_more: bool) -> list[str]:
    """Return the effects of a replay of these events."""
    keys = len({event["key"] for event in events})
    decided = sum(event["request"] is not None for event in events)
    count = f"more than {len(events):,} events" if has_more else plural(len(events) - decided, "event")
    sentences = [f"Sends {count} in order to topic {topic} ({plural(keys, 'key')})."]
    if decided:
        sentences.append(f"{plural(decided, 'event')} with an earlier decision stay as decided.")
    return [
        *sentences,
        "If Kafka rejects an event again, it stays parked with the later events of its key.",
        "New events of these keys follow once the parked ones are sent.",
    ]


async def _discard(context: ConsoleContext, session: Session, side: Side, named: tuple[str, str, str]) -> Action:
    topic, key, event_id = named
    events, _ = await _parked(context, session, side, topic, key)
    event = next((each for each in events if each["event_id"] == event_id), None)
    return Action(
        title="Discard a parked event",
        path=f"/outbox/{side}/discard",
        button="Discard the event",
        back="/outbox",
        consequences=[] if event is None else discard_consequences(event, events),
        obstacle="The event is not parked any more." if event is None else "",
        word="discard",
        hidden={"topic": topic, "key": key, "event_id": event_id},
    )


def discard_consequences(event: Json, events: Sequence[Json]) -> list[str]:
    """Return what is lost by discarding an event, and what becomes of the others of its key."""
    before = sum(each["sequence"] < event["sequence"] for each in events)
    after = sum(each["sequence"] > event["sequence"] for each in events)
    sentences = [
        f"Sends a Discarded event to topic {event['topic']} in place of {event['event_type']}, "
        f"number {event['sequence']:,} of key {event['key']}.",
        "Consumers never learn the content of the event. Discarding a fill leaves its trade open.",
        "This cannot be undone.",
    ]
    if before:
        sentences.insert(1, f"{plural(before, 'earlier event')} of the key must be decided first.")
    if after:
        sentences.insert(1, f"{plural(after, 'later event')} of the key stay parked until you replay or discard them.")
    return sentences


async def _shard(context: ConsoleContext, session: Session, side: Side, shard: int, act: str) -> Action:
    status = await _api(context, side).get(session.token, "/outbox")
    state = next((each for each in status["shards"] if each["shard"] == shard), None)
    waiting = plural(0 if state is None else state["backlog"], "event")
    pauses = act == "pause"
    return Action(
        title=f"{'Pause' if pauses else 'Resume'} shard {shard} of {TITLES[side]}",
        path=f"/outbox/{side}/shards/{shard}/{act}",
        button=f"{'Pause' if pauses else 'Resume'} shard {shard}",
        back="/outbox",
        consequences=(
            [
                f"The relay stops sending the shard; {waiting} wait now and new ones join them.",
                "Events in flight still arrive. Nothing is lost.",
                "Fills of its trades reach trade management only after the shard is resumed.",
            ]
            if pauses
            else [f"The relay sends the shard again, in order, beginning with the {waiting} waiting ones."]
        ),
        obstacle=_shard_obstacle(state, pauses=pauses),
        is_grave=pauses,
    )


def _shard_obstacle(state: Json | None, *, pauses: bool) -> str:
    if state is None:
        return "There is no such shard."
    if state["paused"] == pauses:
        return f"The shard is {'paused already' if pauses else 'not paused'}."
    return ""
