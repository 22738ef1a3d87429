"""Base classes of fault effects; each says what the effect meets."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Message = Annotated[str, Field(max_length=1000)]
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]


class FaultEffect(BaseModel):
    """What a fault does; `kind` names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str


class OrderEffect(FaultEffect):
    """Effect on an order as it is placed."""


class AnswerEffect(OrderEffect):
    """Effect on the answer to a placement. It applies to triggers too, whose orders are placed later."""


class PostbackEffect(FaultEffect):
    """Effect on an order update as it is posted."""
