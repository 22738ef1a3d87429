"""`If-Match`: a change names the version it is based on, as an entity tag."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from shared.errors import ExitflowError

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=255,
        description='the `ETag` of the plan you read, e.g. `"1"`; `*` for any version. Required: 428 without it, '
        "412 if another change came first",
    ),
]


class PreconditionRequired(ExitflowError):
    """The request does not name the version to change."""

    code = "precondition_required"
    http_status = 428


class PreconditionFailed(ExitflowError):
    """The request names another version than the current one."""

    code = "precondition_failed"
    http_status = 412


def etag(version: int) -> str:
    """Return the entity tag of a version."""
    return f'"{version}"'


def require_match(sent: str | None, version: int) -> None:
    """Check the version named by an `If-Match` header; weak tags match nothing.

    Raises
    ------
    PreconditionRequired
        There is no header.
    PreconditionFailed
        It names other versions.
    """
    if sent is None:
        raise PreconditionRequired("send If-Match with the ETag of your last read; it protects changes of others")
    tags = {tag.strip() for tag in sent.split(",")}
    if tags.isdisjoint({"*", etag(version), str(version)}):
        raise PreconditionFailed(
            f"If-Match {sent} names another version than the current {etag(version)}; read it again and repeat the "
            "change if it is still wanted",
            current=etag(version),
        )
