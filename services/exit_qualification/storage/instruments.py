"""Repository of instruments and of their loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from shared.contracts.instruments import Instrument

FILE = "file"
"""Source of instruments loaded by an operator."""

UPSERT = text("""
-- instruments.upsert: a null field keeps its stored value; an unchanged row is not written
INSERT INTO instruments AS n (symbol, instrument_type, tick_size, lot_size, freeze_quantity, expiry)
SELECT DISTINCT ON (f.symbol) f.* FROM
       unnest(CAST(:symbols AS text[]), CAST(:types AS text[]), CAST(:tick_sizes AS numeric[]),
              CAST(:lot_sizes AS bigint[]), CAST(:freeze_quantities AS bigint[]), CAST(:expiries AS date[]))
       AS f (symbol, instrument_type, tick_size, lot_size, freeze_quantity, expiry)
 ORDER BY f.symbol
ON CONFLICT (symbol) DO UPDATE
   SET instrument_type = coalesce(EXCLUDED.instrument_type, n.instrument_type),
       tick_size = coalesce(EXCLUDED.tick_size, n.tick_size),
       lot_size = coalesce(EXCLUDED.lot_size, n.lot_size),
       freeze_quantity = coalesce(EXCLUDED.freeze_quantity, n.freeze_quantity),
       expiry = coalesce(EXCLUDED.expiry, n.expiry), updated_at = clock_timestamp()
 WHERE (coalesce(EXCLUDED.instrument_type, n.instrument_type), coalesce(EXCLUDED.tick_size, n.tick_size),
        coalesce(EXCLUDED.lot_size, n.lot_size), coalesce(EXCLUDED.freeze_quantity, n.freeze_quantity),
        coalesce(EXCLUDED.expiry, n.expiry))
       IS DISTINCT FROM (n.instrument_type, n.tick_size, n.lot_size, n.freeze_quantity, n.expiry)
""")
GET = text("""
-- instruments.get
SELECT symbol, instrument_type, tick_size, lot_size, freeze_quantity, expiry FROM instruments WHERE symbol = :symbol
""")
REQUEST = text("""
-- instrument_loads.request
INSERT INTO instrument_loads (source, requested_at) SELECT DISTINCT broker, clock_timestamp() FROM user_brokers
ON CONFLICT (source) DO UPDATE SET requested_at = EXCLUDED.requested_at
""")
CLAIM_DUE = text("""
-- instrument_loads.claim_due: by one process, at most once in :retry_s seconds unless an operator asks; before the
-- first load once in :first_retry_s
INSERT INTO instrument_loads AS l (source, tried_at) VALUES (:source, clock_timestamp())
ON CONFLICT (source) DO UPDATE SET tried_at = clock_timestamp()
 WHERE l.requested_at > coalesce(l.tried_at, '-infinity')
    OR (coalesce(l.loaded_at < :due_since, true)
        AND coalesce(l.tried_at < clock_timestamp() - make_interval(
              secs => CASE WHEN l.loaded_at IS NULL THEN :first_retry_s ELSE :retry_s END), true))
RETURNING source
""")
RECORD = text("""
-- instrument_loads.record
INSERT INTO instrument_loads AS l (source, tried_at, loaded_at, instruments, skipped, error)
VALUES (:source, clock_timestamp(), CASE WHEN CAST(:error AS text) IS NULL THEN clock_timestamp() END, :instruments,
        :skipped, :error)
ON CONFLICT (source) DO UPDATE
   SET loaded_at = coalesce(EXCLUDED.loaded_at, l.loaded_at), error = EXCLUDED.error,
       instruments = CASE WHEN EXCLUDED.error IS NULL THEN EXCLUDED.instruments ELSE l.instruments END,
       skipped = CASE WHEN EXCLUDED.error IS NULL THEN EXCLUDED.skipped ELSE l.skipped END
""")
LOADS = text("""
-- instrument_loads.all
SELECT source, requested_at, loaded_at, instruments, skipped, error FROM instrument_loads ORDER BY source
""")


@dataclass(frozen=True, slots=True)
class InstrumentLoad:
    """Last load of the instruments of a source."""

    source: str
    requested_at: datetime | None
    loaded_at: datetime | None
    instruments: int
    skipped: int
    error: str | None


class InstrumentRepository:
    """Instruments of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upsert(self, instruments: Sequence[Instrument]) -> None:
        """Store instruments in one statement; of several with one symbol the last counts."""
        latest = list({each.symbol: each for each in instruments}.values())
        if not latest:
            return
        self._connection.execute(
            UPSERT,
            {
                "symbols": [each.symbol for each in latest],
                "types": [each.instrument_type for each in latest],
                "tick_sizes": [each.tick_size for each in latest],
                "lot_sizes": [each.lot_size for each in latest],
                "freeze_quantities": [each.freeze_quantity for each in latest],
                "expiries": [each.expiry for each in latest],
            },
        )

    def get(self, symbol: str) -> Instrument | None:
        """Return an instrument; None if it is not known."""
        row = self._connection.execute(GET, {"symbol": symbol}).one_or_none()
        return None if row is None else Instrument.model_validate(dict(row._mapping))

    def request_loads(self) -> None:
        """Let the order process load the instruments of every broker now."""
        self._connection.execute(REQUEST)

    def claim_due(self, source: str, due_since: datetime, retry_s: float, first_retry_s: float) -> bool:
        """Return whether the caller must load a broker's instruments: it did not since `due_since`, or was asked to.

        Tries are `retry_s` apart at least, `first_retry_s` while none has succeeded.
        """
        parameters = {"source": source, "due_since": due_since, "retry_s": retry_s, "first_retry_s": first_retry_s}
        return self._connection.execute(CLAIM_DUE, parameters).one_or_none() is not None

    def record(self, source: str, *, instruments: int = 0, skipped: int = 0, error: str | None = None) -> None:
        """Record the end of a load."""
        self._connection.execute(
            RECORD, {"source": source, "instruments": instruments, "skipped": skipped, "error": error}
        )

    def loads(self) -> list[InstrumentLoad]:
        """Return the last load of every source."""
        return [InstrumentLoad(**row._mapping) for row in self._connection.execute(LOADS)]
