"""Quotes of brokers, the newest price of each symbol that has ticks, and refusals of access tokens.

Revision ID: V027
Revises: V026
"""

from alembic import op

revision = "V027"
down_revision = "V026"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE market_quotes (
  symbol text PRIMARY KEY,
  last_price numeric(18,4) NOT NULL CHECK (last_price > 0),
  lower_limit numeric(18,4) CHECK (lower_limit > 0),
  upper_limit numeric(18,4) CHECK (upper_limit > 0),
  buy_quantity bigint,
  sell_quantity bigint,
  quoted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE market_quotes IS 'Last quote of a broker for each symbol that needed one';
COMMENT ON COLUMN market_quotes.lower_limit IS 'lower circuit limit of the day of the quote; null if the broker names none';
COMMENT ON COLUMN market_quotes.buy_quantity IS 'quantity of waiting buy orders; null if the broker names none';
GRANT SELECT, INSERT, UPDATE ON market_quotes TO exitflow_exit;

CREATE VIEW market_prices AS
SELECT s.symbol,
       greatest(nullif(s.last_arrived_at, 'epoch'), q.quoted_at) AS priced_at,
       CASE WHEN q.quoted_at > s.last_arrived_at THEN q.last_price ELSE s.last_price END AS last_price,
       CASE WHEN day.is_same THEN q.lower_limit END AS lower_limit,
       CASE WHEN day.is_same THEN q.upper_limit END AS upper_limit,
       CASE WHEN q.quoted_at > clock_timestamp() - interval '5 seconds' THEN q.buy_quantity END AS buy_quantity,
       CASE WHEN q.quoted_at > clock_timestamp() - interval '5 seconds' THEN q.sell_quantity END AS sell_quantity
  FROM tick_symbols s
  LEFT JOIN market_quotes q ON q.symbol = s.symbol
 CROSS JOIN LATERAL (SELECT (q.quoted_at AT TIME ZONE 'Asia/Kolkata')::date
                            = (clock_timestamp() AT TIME ZONE 'Asia/Kolkata')::date AS is_same) AS day;
COMMENT ON VIEW market_prices IS 'Newest price of each symbol, by tick or quote; limits of today, waiting orders of the last seconds';
GRANT SELECT ON market_prices TO exitflow_exit;

ALTER TABLE user_brokers ADD COLUMN token_refused_at timestamptz, ADD COLUMN token_taken_at timestamptz;
COMMENT ON COLUMN user_brokers.token_refused_at IS 'since when the broker refuses the access token; null while it takes it';
COMMENT ON COLUMN user_brokers.token_taken_at IS 'when the broker took a token again after a refusal';
"""

DOWNGRADE = """
ALTER TABLE user_brokers DROP COLUMN token_refused_at, DROP COLUMN token_taken_at;
DROP VIEW market_prices;
DROP TABLE market_quotes;
"""


def upgrade() -> None:
    """Make the table, the view and the columns; exit-orders fills them."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Drop them; quotes are asked for again after the next upgrade."""
    op.execute(DOWNGRADE)
