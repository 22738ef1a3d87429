"""Route: order updates posted by brokers. They only wake the reconciler; it reads the broker's books."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from services.exit_qualification.api.context import Context
from services.exit_qualification.metrics import POSTBACKS
from services.exit_qualification.orders.brokers.kite.postbacks import KitePostback
from services.exit_qualification.storage.order_updates import notify_order_update
from shared.contracts.events import describe
from shared.errors import Forbidden, InvalidInput, NotFound, TooManyRequests
from shared.http.declared_errors import declared
from shared.http.routing import api_router

router = api_router(tags=["postbacks"])

REFUSED: Final = b"refused postbacks"
"""Common key of the rate limit for forged and malformed updates, apart from those of accounts."""


class ForgedPostback(Forbidden):
    """Order update without the checksum of an account."""

    code = "forged_postback"


class PostbackTaken(BaseModel):
    """The reconciler is awake."""

    status: str = "ok"


async def the_body(request: Request) -> bytes:
    """Return the body as sent: Kite posts JSON under several content types."""
    return await request.body()


_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": KitePostback.model_json_schema()}}}
}


@router.post("/postbacks/kite", responses=declared(403, 404, 429), openapi_extra=_BODY)
def kite_postback(context: Context, body: Annotated[bytes, Depends(the_body)]) -> PostbackTaken:
    """Take an order update of Kite and wake the reconciler. Needs no token: the checksum tells the sender.

    Nothing of the update is stored or believed. Refused: a forged one (403), one of a foreign order (404),
    and more than `EXITFLOW_POSTBACKS_PER_S` of an account, or of refused ones together (429).
    """
    try:
        _take(context, body)
    except (ForgedPostback, InvalidInput) as error:
        POSTBACKS.labels(error.code).inc()
        context.postback_limits.spend(REFUSED)
        raise
    except (NotFound, TooManyRequests) as error:
        POSTBACKS.labels(error.code).inc()
        raise
    POSTBACKS.labels("taken").inc()
    return PostbackTaken()


def _take(context: Context, body: bytes) -> None:
    try:
        update = KitePostback.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(f"not an order update of Kite: {describe(error)}") from error
    sender = context.postback_secrets.sender_of(update)
    if sender is None:
        raise ForgedPostback("the checksum fits no account in EXITFLOW_POSTBACK_SECRETS")
    context.postback_limits.spend(sender.encode())
    with context.unit_of_work() as uow:
        if not notify_order_update(uow.connection, sender, update.order_id, update.tag):
            raise NotFound(f"order {update.order_id} is not ours")
        uow.commit()
