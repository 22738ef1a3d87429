"""Errors in OpenAPI documents: every error answer of an operation, with its real content type."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.http.problems import MEDIA_TYPE

Declared = dict[int | str, dict[str, Any]]

_MEANINGS = {
    400: "the request cannot be read",
    401: "no token, or an unknown or expired one",
    403: "the token lacks the scope",
    404: "the thing named does not exist",
    408: "the request did not arrive in time",
    409: "the named thing's state forbids the call",
    412: "another version than the one named by `If-Match`",
    413: "the body is too large",
    414: "the path or the query is too long",
    422: "the request is not valid; `errors` names the fields",
    428: "no `If-Match`",
    429: "too many requests of this token; see `Retry-After`",
    431: "the headers are too large",
    500: "an unexpected error; it is in the log",
    501: "an unsupported transfer coding",
    503: "a dependency of the API does not answer now, or too many connections are open",
}

EVERYWHERE = (400, 408, 413, 414, 422, 431, 500, 501, 503)
GUARDED = (401, 403, 429)


class FieldError(BaseModel):
    """An invalid field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457). Some problems have further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="stable; programs switch on it")
    retryable: bool = Field(description="true if the same call may succeed later")
    errors: list[FieldError] | None = None


def declared(*statuses: int) -> Declared:
    """Return the `responses` of a route or an app for these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses
    }


def add_problem_schema(document: dict[str, Any]) -> None:
    """Add the schemas referenced by `declared`."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs")
    document.setdefault("components", {}).setdefault("schemas", {}).update({"Problem": schema, **definitions})
