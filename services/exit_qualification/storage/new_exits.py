"""The statement for writing new exits, their signals and intents, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import msgspec
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from services.exit_qualification.domain.exit_signal import ExitSignal
from services.exit_qualification.domain.intent import ExitIntent
from shared.postgres.hot_path import send

_SIGNAL_NAMES = ", ".join(field.name for field in fields(ExitSignal))
_FIELDS = [field for field in msgspec.structs.fields(ExitIntent) if field.name != "gates"]
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
"""An intent for `INSERT`: without the values still unknown."""

INSERT = text(f"""
-- new_exits.insert: a row for each object; `gates` of an intent is a number of the verdicts: they are the longest part
-- of a row and the same for most exits of a burst
WITH signals AS (
  INSERT INTO exit_signals ({_SIGNAL_NAMES})
  SELECT {_SIGNAL_NAMES} FROM json_populate_recordset(CAST(NULL AS exit_signals), CAST(:signals AS json))
), verdicts AS MATERIALIZED (
  SELECT n, gates FROM unnest(CAST(:gates AS jsonb[])) WITH ORDINALITY AS v (gates, n))
INSERT INTO exit_intents ({_NAMES}, gates)
SELECT {_NAMES}, verdicts.gates
  FROM json_populate_recordset(CAST(NULL AS exit_intents), CAST(:intents AS json)) AS w
  JOIN verdicts ON verdicts.n = CAST(w.gates AS integer)
""")  # noqa: S608  # the fields of our own classes


_SLOTS = ("exit_intents_one_live", "exit_intents_idempotency")


def is_slot_taken(error: BaseException | None) -> bool:
    """Return whether exits were not written because another one has the key or the slot of one of them."""
    if not isinstance(error, IntegrityError) or not isinstance(error.orig, UniqueViolation):
        return False
    return error.orig.diag.constraint_name in _SLOTS


def insert_exits(connection: Connection, signals: Sequence[ExitSignal], intents: Sequence[ExitIntent]) -> None:
    """Write new exits. Signals have new episodes, so they conflict with nothing.

    Raises
    ------
    sqlalchemy.exc.IntegrityError
        `is_slot_taken`; within a pipeline, at the next wait.
    """
    numbers: dict[int, int] = {}
    verdicts: list[str] = []
    rows = []
    for intent in intents:
        number = numbers.get(id(intent.gates))  # exits with the same verdicts share them
        if number is None:
            verdicts.append(msgspec.json.encode(intent.gates).decode())
            number = numbers[id(intent.gates)] = len(verdicts)
        rows.append(_Inserted(number, *_values_of(intent)))
    written = {"signals": msgspec.json.encode(signals).decode(), "intents": msgspec.json.encode(rows).decode()}
    send(connection, INSERT, written | {"gates": verdicts})
