"""Tables of the ledger. Money is whole units of 1/10,000 rupee, times are milliseconds since 1970."""

from __future__ import annotations

VERSION = 6
"""Ledger version, stored in ``PRAGMA user_version``; older versions are upgraded, others are refused."""

_ORDERS = """
CREATE TABLE {name} (
    order_number     INTEGER PRIMARY KEY,
    account          TEXT    NOT NULL,
    symbol           TEXT    NOT NULL,
    side             TEXT    NOT NULL CHECK (side IN ('BUY', 'SELL')),
    product          TEXT    NOT NULL,
    order_type       TEXT    NOT NULL CHECK (order_type IN ('MARKET', 'LIMIT', 'SL', 'SL-M')),
    validity         TEXT    NOT NULL,
    quantity         INTEGER NOT NULL CHECK (quantity > 0),
    limit_units      INTEGER CHECK (limit_units > 0),
    protection_units INTEGER NOT NULL,
    tag              TEXT,
    status           TEXT    NOT NULL
        CHECK (status IN ('OPEN', 'TRIGGER PENDING', 'COMPLETE', 'CANCELLED', 'REJECTED')),
    status_message   TEXT,
    filled_quantity  INTEGER NOT NULL CHECK (filled_quantity BETWEEN 0 AND quantity),
    filled_value     INTEGER NOT NULL,
    modified         INTEGER NOT NULL,  -- how often by its account
    placed_ms        INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    fill_plan        TEXT,     -- JSON [[from_ms, filled_at_most], ...]; NULL: at once and whole
    resume_ms        INTEGER,  -- when the plan next allows more
    trigger_units    INTEGER CHECK (trigger_units > 0),{ttl}
    CHECK ((order_type IN ('LIMIT', 'SL')) = (limit_units IS NOT NULL)),
    CHECK ((order_type IN ('SL', 'SL-M')) = (trigger_units IS NOT NULL)),
    CHECK (status <> 'TRIGGER PENDING' OR (trigger_units IS NOT NULL AND filled_quantity = 0)),
    CHECK ((status = 'COMPLETE') = (filled_quantity = quantity))
) STRICT;"""

_TTL = """
    ttl_minutes      INTEGER,  -- of validity TTL"""

_ORDER_INDEXES = """
CREATE INDEX orders_of_account ON orders (account, order_number);
CREATE INDEX orders_at_work ON orders (symbol, order_number) WHERE status IN ('OPEN', 'TRIGGER PENDING');
CREATE INDEX orders_at_work_of_account ON orders (account, order_number)
    WHERE status IN ('OPEN', 'TRIGGER PENDING');
CREATE INDEX orders_to_resume ON orders (resume_ms) WHERE status = 'OPEN' AND resume_ms IS NOT NULL;
"""

_GTTS = """
-- Triggers held by the broker over days. A single one has one leg, a two-leg one a lower and an upper leg.
CREATE TABLE gtts (
    trigger_id INTEGER PRIMARY KEY,
    account    TEXT    NOT NULL,
    symbol     TEXT    NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('single', 'two-leg')),
    status     TEXT    NOT NULL CHECK (status IN ('active', 'triggered', 'deleted')),
    last_units INTEGER NOT NULL CHECK (last_units > 0),  -- the market when it was placed or changed
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX gtts_of_account ON gtts (account, trigger_id);
CREATE INDEX gtts_active ON gtts (symbol, trigger_id) WHERE status = 'active';

CREATE TABLE gtt_legs (
    trigger_id      INTEGER NOT NULL REFERENCES gtts,
    leg             INTEGER NOT NULL,
    trigger_units   INTEGER NOT NULL CHECK (trigger_units > 0),
    fires           TEXT    NOT NULL CHECK (fires IN ('at_or_below', 'at_or_above')),
    side            TEXT    NOT NULL CHECK (side IN ('BUY', 'SELL')),
    product         TEXT    NOT NULL,
    quantity        INTEGER NOT NULL CHECK (quantity > 0),
    limit_units     INTEGER NOT NULL CHECK (limit_units > 0),
    triggered_units INTEGER,  -- the market when it fired
    triggered_ms    INTEGER,
    order_number    INTEGER REFERENCES orders,
    refusal         TEXT,     -- why the order was not accepted
    PRIMARY KEY (trigger_id, leg),
    CHECK ((triggered_ms IS NULL) = (order_number IS NULL AND refusal IS NULL))
) STRICT, WITHOUT ROWID;
"""

_SURPRISES = """
-- What the broker does to an order by itself, on request; NULL: nothing, or done.
CREATE TABLE surprises (
    order_number  INTEGER PRIMARY KEY REFERENCES orders,
    cancel_ms     INTEGER,
    late_after_ms INTEGER,  -- from its cancel to a fill of late_quantity, of the whole rest if NULL
    late_quantity INTEGER CHECK (late_quantity > 0),
    late_fill_ms  INTEGER,
    shown_from_ms INTEGER
) STRICT;
CREATE INDEX surprises_to_cancel ON surprises (cancel_ms) WHERE cancel_ms IS NOT NULL;
CREATE INDEX surprises_to_fill ON surprises (late_fill_ms) WHERE late_fill_ms IS NOT NULL;
CREATE INDEX surprises_hidden ON surprises (shown_from_ms) WHERE shown_from_ms IS NOT NULL;
"""

TABLES = f"""
{_ORDERS.format(name="orders", ttl=_TTL)}
{_ORDER_INDEXES}
{_GTTS}
{_SURPRISES}
-- What an order looked like after each change.
CREATE TABLE order_states (
    order_number    INTEGER NOT NULL REFERENCES orders,
    step            INTEGER NOT NULL,
    status          TEXT    NOT NULL,
    status_message  TEXT,
    quantity        INTEGER NOT NULL,
    limit_units     INTEGER,
    trigger_units   INTEGER,
    filled_quantity INTEGER NOT NULL,
    filled_value    INTEGER NOT NULL,
    modified        INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL,
    PRIMARY KEY (order_number, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE fills (
    trade_number INTEGER PRIMARY KEY,
    order_number INTEGER NOT NULL REFERENCES orders,
    quantity     INTEGER NOT NULL CHECK (quantity > 0),
    price_units  INTEGER NOT NULL CHECK (price_units > 0),
    filled_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX fills_of_order ON fills (order_number, trade_number);

-- Trades opened elsewhere at an account; the key makes a redelivery harmless.
CREATE TABLE entries (
    trade_id    TEXT    PRIMARY KEY,
    account     TEXT    NOT NULL,
    symbol      TEXT    NOT NULL,
    product     TEXT    NOT NULL,
    quantity    INTEGER NOT NULL,  -- signed
    price_units INTEGER NOT NULL CHECK (price_units > 0),
    entered_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sums over entries and fills, kept with them in one transaction.
CREATE TABLE turnover (
    account       TEXT    NOT NULL,
    symbol        TEXT    NOT NULL,
    product       TEXT    NOT NULL,
    day           TEXT    NOT NULL,
    buy_quantity  INTEGER NOT NULL,
    buy_value     INTEGER NOT NULL,
    sell_quantity INTEGER NOT NULL,
    sell_value    INTEGER NOT NULL,
    PRIMARY KEY (account, symbol, product, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE quotes (
    symbol      TEXT    PRIMARY KEY,
    last_units  INTEGER NOT NULL CHECK (last_units > 0),
    at_us       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    day         TEXT    NOT NULL,
    open_units  INTEGER NOT NULL,
    high_units  INTEGER NOT NULL,
    low_units   INTEGER NOT NULL,
    close_units INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the feed goes on; written with what the records before it caused.
CREATE TABLE feed_offsets (
    topic        TEXT    NOT NULL,
    partition_id INTEGER NOT NULL,
    next_offset  INTEGER NOT NULL,
    PRIMARY KEY (topic, partition_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE fault_rules (
    rule_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    account   TEXT    NOT NULL,
    symbol    TEXT,     -- NULL: any
    remaining INTEGER CHECK (remaining > 0),  -- NULL: until removed
    effect    TEXT    NOT NULL
) STRICT;

-- An account without a row is logged in by its settings alone.
CREATE TABLE sessions (
    account      TEXT PRIMARY KEY,
    login_ms     INTEGER NOT NULL,
    is_open      INTEGER NOT NULL,
    is_renewable INTEGER NOT NULL DEFAULT 1  -- 0: its refresh token has ended as well
) STRICT;
"""

_OLD_COLUMNS = """order_number, account, symbol, side, product, order_type, validity, quantity, limit_units,
    protection_units, tag, status, status_message, filled_quantity, filled_value, modified, placed_ms, updated_ms,
    fill_plan, resume_ms"""

UPGRADES = {
    1: f"""
{_ORDERS.format(name="new_orders", ttl="")}
INSERT INTO new_orders ({_OLD_COLUMNS}) SELECT {_OLD_COLUMNS} FROM orders;
DROP TABLE orders;
ALTER TABLE new_orders RENAME TO orders;
{_ORDER_INDEXES}
ALTER TABLE order_states ADD COLUMN trigger_units INTEGER;
{_GTTS}""",  # noqa: S608  # constants
    2: _SURPRISES,
    3: "ALTER TABLE orders ADD COLUMN ttl_minutes INTEGER;",
    4: "ALTER TABLE sessions ADD COLUMN is_renewable INTEGER NOT NULL DEFAULT 1;",
    5: """
CREATE INDEX IF NOT EXISTS orders_at_work_of_account ON orders (account, order_number)
    WHERE status IN ('OPEN', 'TRIGGER PENDING');""",  # one upgraded from version 1 has it
}
"""Statements to bring a ledger of a version to the next one; foreign keys must be off."""
