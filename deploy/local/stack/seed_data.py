"""Newest schemas and the defaults of a one-machine system.

The defaults: rollout full, the paper broker connected, a calendar without closing hours, an operator's token.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, text

from deploy.local.secrets.credentials import PAPER
from shared.http.auth import Scope, store_token
from shared.postgres.connection_limits import TOOLS
from shared.postgres.engine import open_engine
from shared.postgres.migrations import migrate
from shared.postgres.revisions import EXIT_QUALIFICATION, TRADE_MANAGEMENT
from shared.runtime.catalogue import TRADE_API, TRADE_FILLS

_APPLICATION = "exitflow-up"
_OPERATOR = "local-operator"
OPERATOR_SCOPES = [Scope.READ, Scope.TRADE, Scope.OPERATE]
"""Not admin: whoever reads the operator's token cannot have orders and credentials sent elsewhere with it."""

SWITCH_ON = text("""
-- local.switch_on: only switches untouched by an operator
UPDATE rollout SET mode = 'full', reason = 'local stack', updated_by = 'exitflow up', updated_at = clock_timestamp()
 WHERE updated_by = 'migration'
""")
CONNECT_PAPER = text("""
-- local.connect_paper: the port of the paper broker may have changed, but not an operator's settings
INSERT INTO user_brokers (user_broker_id, broker, account, root_url, status)
VALUES (:user_broker_id, 'kite', :account, :root_url, 'CONNECTED')
ON CONFLICT (user_broker_id) DO UPDATE SET root_url = EXCLUDED.root_url, updated_at = clock_timestamp()
""")
ALWAYS_OPEN = text("""
-- local.always_open: the stack works at night; a calendar of an exchange replaces it for this exchange
INSERT INTO market_calendars (exchange, valid_from, weekdays, sessions, square_off, days, tick_fresh_ms, loaded_by)
VALUES ('*', '1970-01-01', '{1,2,3,4,5,6,7}', '[{"phase": "OPEN", "opens": "00:00:00", "closes": "24:00:00"}]', '{}',
        '{}', 3000, 'exitflow up')
ON CONFLICT (exchange, valid_from) DO NOTHING
""")
KNOW_PAPER = text("""
-- local.know_paper: trades may name it from the first moment; every event of it is newer
INSERT INTO user_brokers (user_broker_id, status, changed_at) VALUES (:user_broker_id, 'CONNECTED', 'epoch')
ON CONFLICT (user_broker_id) DO NOTHING
""")


def migrate_both(exit_url: str, trade_url: str, on_progress: Callable[[str], None]) -> None:
    """Bring both schemas to the newest revision; the URLs carry the migrator's role."""
    for history, url in ((EXIT_QUALIFICATION, exit_url), (TRADE_MANAGEMENT, trade_url)):
        before, after = migrate(url, history)
        on_progress(f"schema {history} at {after}" + ("" if before == after else f", was {before or 'empty'}"))


def set_defaults(
    exit_url: str,
    trade_url: str,
    *,
    operator_token: str,
    paper_broker_url: str,
    trade_api_token: str | None,
    execution_token: str | None,
) -> None:
    """Set defaults undecided by an operator, in the schemas of the migrator's URLs."""
    _write(
        exit_url, EXIT_QUALIFICATION, lambda connection: _set_exit_side(connection, operator_token, paper_broker_url)
    )
    for token, name, scopes in (
        (trade_api_token, TRADE_API.name, [Scope.READ, Scope.EXECUTE]),
        (execution_token, TRADE_FILLS.name, [Scope.READ, Scope.EXECUTE]),
    ):
        if token is not None:
            _write(exit_url, EXIT_QUALIFICATION, partial(store_token, token=token, name=name, scopes=scopes))
    _write(trade_url, TRADE_MANAGEMENT, lambda connection: _set_trade_side(connection, operator_token))


def _set_exit_side(connection: Connection, operator_token: str, paper_broker_url: str) -> None:
    connection.execute(SWITCH_ON)
    connection.execute(CONNECT_PAPER, {"user_broker_id": PAPER, "account": PAPER.upper(), "root_url": paper_broker_url})
    connection.execute(ALWAYS_OPEN)
    store_token(connection, operator_token, _OPERATOR, OPERATOR_SCOPES)


def _set_trade_side(connection: Connection, operator_token: str) -> None:
    connection.execute(KNOW_PAPER, {"user_broker_id": PAPER})
    store_token(connection, operator_token, _OPERATOR, OPERATOR_SCOPES)


def _write(url: str, schema: str, change: Callable[[Connection], None]) -> None:
    engine = open_engine(url, schema, application=_APPLICATION, limits=TOOLS)
    try:
        with engine.begin() as connection:
            change(connection)
    finally:
        engine.dispose()
