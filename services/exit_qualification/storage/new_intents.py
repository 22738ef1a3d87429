"""The statement that writes new exit intents, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from services.exit_qualification.domain.intent import ExitIntent
from shared.postgres.hot_path import fetch

_FIELDS = [field for field in fields(ExitIntent) if field.name != "gates"]
_REQUIRED = [field.name for field in _FIELDS if field.default is not None]
_OPTIONAL = [field.name for field in _FIELDS if field.default is None]
_NAMES = ", ".join([*_REQUIRED, *_OPTIONAL])
_values_of = attrgetter(*_REQUIRED, *_OPTIONAL)
_Inserted = msgspec.defstruct(
    "_Inserted",
    [("gates", int), *((name, Any) for name in _REQUIRED), *((name, Any, None) for name in _OPTIONAL)],
    omit_defaults=True,
    gc=False,
)
"""An intent as `INSERT` reads it: without what it does not know yet."""

INSERT = text(f"""
-- exit_intents.insert: a row for each object, but for those with a key or slot that is taken; `gates` of an object is a
-- number of the verdicts, which are the longest part of a row and the same for most exits of a burst
WITH verdicts AS MATERIALIZED (
  SELECT n, gates FROM unnest(CAST(:gates AS jsonb[])) WITH ORDINALITY AS v (gates, n))
INSERT INTO exit_intents ({_NAMES}, gates)
SELECT {_NAMES}, verdicts.gates
  FROM json_populate_recordset(CAST(NULL AS exit_intents), CAST(:intents AS json)) AS w
  JOIN verdicts ON verdicts.n = CAST(w.gates AS integer)
ON CONFLICT DO NOTHING
RETURNING intent_id
""")  # noqa: S608  # the fields of our own class


def insert_intents(connection: Connection, intents: Sequence[ExitIntent]) -> set[UUID]:
    """Write new intents; return the ids written. Omit intents whose key or slot is taken."""
    numbers: dict[str, int] = {}
    gates = [msgspec.json.encode(intent.gates).decode() for intent in intents]
    rows = [
        _Inserted(numbers.setdefault(verdicts, len(numbers) + 1), *_values_of(intent))
        for intent, verdicts in zip(intents, gates, strict=True)
    ]
    given = {"intents": msgspec.json.encode(rows).decode(), "gates": list(numbers)}
    return {intent_id for (intent_id,) in fetch(connection, INSERT, given)}
