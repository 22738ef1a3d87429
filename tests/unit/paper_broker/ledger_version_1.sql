-- Ledger as version 1 wrote it, with one partly filled order.
CREATE TABLE orders (
    order_number     INTEGER PRIMARY KEY,
    account          TEXT    NOT NULL,
    symbol           TEXT    NOT NULL,
    side             TEXT    NOT NULL CHECK (side IN ('BUY', 'SELL')),
    product          TEXT    NOT NULL,
    order_type       TEXT    NOT NULL CHECK (order_type IN ('MARKET', 'LIMIT')),
    validity         TEXT    NOT NULL,
    quantity         INTEGER NOT NULL CHECK (quantity > 0),
    limit_units      INTEGER CHECK (limit_units > 0),
    protection_units INTEGER NOT NULL,
    tag              TEXT,
    status           TEXT    NOT NULL CHECK (status IN ('OPEN', 'COMPLETE', 'CANCELLED', 'REJECTED')),
    status_message   TEXT,
    filled_quantity  INTEGER NOT NULL CHECK (filled_quantity BETWEEN 0 AND quantity),
    filled_value     INTEGER NOT NULL,
    modified         INTEGER NOT NULL,
    placed_ms        INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    fill_plan        TEXT,     -- JSON [[from_ms, filled_at_most], ...]; NULL: at once and whole
    resume_ms        INTEGER,  -- when the plan next allows more
    CHECK ((order_type = 'LIMIT') = (limit_units IS NOT NULL)),
    CHECK ((status = 'COMPLETE') = (filled_quantity = quantity))
) STRICT;
CREATE INDEX orders_of_account ON orders (account, order_number);
CREATE INDEX orders_at_work ON orders (symbol, order_number) WHERE status = 'OPEN';
CREATE INDEX orders_to_resume ON orders (resume_ms) WHERE status = 'OPEN' AND resume_ms IS NOT NULL;

-- What an order looked like after each change.
CREATE TABLE order_states (
    order_number    INTEGER NOT NULL REFERENCES orders,
    step            INTEGER NOT NULL,
    status          TEXT    NOT NULL,
    status_message  TEXT,
    quantity        INTEGER NOT NULL,
    limit_units     INTEGER,
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
CREATE TABLE sessions (account TEXT PRIMARY KEY, login_ms INTEGER NOT NULL, is_open INTEGER NOT NULL) STRICT;

INSERT INTO orders VALUES (260113400000010, 'PAPER', 'NSE:INFY', 'SELL', 'MIS', 'LIMIT', 'DAY', 100, 10100000, 0, 'OLD',
    'OPEN', NULL, 40, 404000000, 0, 1768284000000, 1768284000000, '[[1768284000000, 40]]', NULL);
INSERT INTO order_states VALUES (260113400000010, 0, 'OPEN', NULL, 100, 10100000, 0, 0, 0, 1768284000000);
INSERT INTO fills VALUES (260113400000020, 260113400000010, 40, 10100000, 1768284000000);
PRAGMA user_version = 1;
