"""Paths and content of every contract document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.contracts.asyncapi import asyncapi
from services.contracts.event_schemas import EVENTS_FOLDER, event_schemas
from services.contracts.openapi import APIS, openapi

Json = dict[str, Any]

CONTRACTS = Path(__file__).resolve().parents[2] / "docs" / "contracts"


def documents() -> dict[str, Json]:
    """Return each document by its path below ``docs/contracts``."""
    events = {f"{EVENTS_FOLDER}/{name}.json": schema for name, schema in event_schemas().items()}
    apis = {f"openapi/{name}.json": openapi(name) for name in APIS}
    return {**events, "asyncapi.json": asyncapi(), **apis}


def text_of(document: Json) -> str:
    """Format a document for its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def written_documents() -> dict[str, Json]:
    """Return the files of contracts by their path; samples of events are none."""
    names = ["asyncapi.json", *(f"{EVENTS_FOLDER}/{file.name}" for file in (CONTRACTS / EVENTS_FOLDER).iterdir())]
    return {name: written(name) for name in names if (CONTRACTS / name).exists()}


def written(name: str) -> Json:
    """Parse a document's file."""
    document: Json = json.loads((CONTRACTS / name).read_text())
    return document
