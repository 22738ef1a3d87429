"""Kite Connect v3 routes for triggers (GTT)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from services.paper_broker import gtt_format
from services.paper_broker.desk import AtDesk, Client, Form
from services.paper_broker.gtt_forms import read_gtt
from services.paper_broker.kite_answers import DroppedAnswer, success
from services.paper_broker.kite_errors import no_such_trigger

router = APIRouter(prefix="/gtt/triggers", tags=["kite"])

TriggerId = Annotated[str, Path(description="the broker's trigger id")]


@router.post("")
def place_gtt(form: Form, client: Client, desk: AtDesk) -> Response:
    """Place a trigger of one or two legs."""
    accepted = desk.gtts.place(client.user_id, read_gtt(form))
    if accepted.drop_after_ms is not None:
        return DroppedAnswer(accepted.drop_after_ms)
    return success({"trigger_id": accepted.trigger_id})


@router.get("")
def gtts(client: Client, desk: AtDesk) -> Response:
    """Return the active triggers and those ended in the last days."""
    return success([gtt_format.gtt(each) for each in desk.gtts.all(client.user_id)])


@router.get("/{trigger_id}")
def gtt(trigger_id: TriggerId, client: Client, desk: AtDesk) -> Response:
    """Return one trigger."""
    return success(gtt_format.gtt(desk.gtts.one(client.user_id, _number(trigger_id))))


@router.put("/{trigger_id}")
def modify_gtt(trigger_id: TriggerId, form: Form, client: Client, desk: AtDesk) -> Response:
    """Replace the terms of an active trigger."""
    number = _number(trigger_id)
    desk.gtts.modify(client.user_id, number, read_gtt(form))
    return success({"trigger_id": number})


@router.delete("/{trigger_id}")
def delete_gtt(trigger_id: TriggerId, client: Client, desk: AtDesk) -> Response:
    """Delete an active trigger."""
    number = _number(trigger_id)
    desk.gtts.delete(client.user_id, number)
    return success({"trigger_id": number})


def _number(trigger_id: str) -> int:
    if not (trigger_id.isascii() and trigger_id.isdigit() and len(trigger_id) < 19):
        raise no_such_trigger()
    return int(trigger_id)
