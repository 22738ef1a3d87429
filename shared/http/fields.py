"""Request fields shared by several APIs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL's text holds every character but this one."""

Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=NO_NUL, description="why; kept in the audit log")]
OrderId = Annotated[
    str, Query(min_length=1, max_length=100, pattern=NO_NUL, description="order id of the broker, or the order's tag")
]
