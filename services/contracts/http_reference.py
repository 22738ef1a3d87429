"""The reference page of both HTTP APIs, from their OpenAPI documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.contracts.event_reference import type_text
from services.contracts.openapi import APIS, openapi
from services.contracts.pages import page, table

Json = dict[str, Any]

EVERYWHERE = frozenset({"400", "401", "403", "408", "413", "414", "422", "429", "431", "500", "501", "503"})
"""Answers possible at any route; they are listed once."""


def http_page() -> str:
    """Return the page of every route with its parameters, body and answers."""
    intro = (
        "Requests carry `Authorization: Bearer TOKEN`, except for `/healthz` and `/readyz`.",
        "Errors are problem+json with a stable `code` ([all codes](errors.md)).",
        "Lists are paged: pass the `next` of an answer as `cursor`.",
        "Creating POSTs accept an `Idempotency-Key`: the same key gets the same answer.",
        "Any route can answer 400, 401, 403, 408, 413, 414, 422, 429, 431, 500, 501 and 503.",
    )
    return page("HTTP", intro, *(block for name in APIS for block in _api(name)))


def _api(name: str) -> Iterator[str]:
    yield f"## {name}"
    yield f"The whole document: [OpenAPI](../contracts/openapi/{name}.json)."
    document = openapi(name)
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"### {method.upper()} {path}"
            yield operation.get("description", operation["summary"])
            yield table(("parameter", "in", "type", "meaning"), _parameters(operation, schemas))
            yield _answers(operation)


def _parameters(operation: Json, schemas: Json) -> Iterator[tuple[str, str, str, str]]:
    for each in operation.get("parameters", []):
        yield _row(each["name"], each["in"], each["required"], each["schema"], each.get("description", ""))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    for schema in (schemas[name] for name in _models(body or {})):
        required = schema.get("required", [])
        for name, field in schema.get("properties", {}).items():
            yield _row(name, "body", name in required, field, field.get("description", ""))


def _models(schema: Json) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"].rsplit("/", 1)[1]
    for each in schema.get("anyOf", []):
        yield from _models(each)


def _row(name: str, place: str, required: bool, field: Json, meaning: str) -> tuple[str, str, str, str]:
    return f"`{name}`" + (" (required)" if required else ""), place, type_text(field), meaning


def _answers(operation: Json) -> str:
    rows = (
        f"`{status}` {answer['description']}{_answer_model(answer)}"
        for status, answer in sorted(operation["responses"].items())
        if status not in EVERYWHERE
    )
    return "Answers: " + "; ".join(rows) + "."


def _answer_model(answer: Json) -> str:
    models = [name for each in answer.get("content", {}).values() for name in _models(each.get("schema", {}))]
    return "".join(f" (`{name}`)" for name in models if name != "Problem")
