"""What a stack needs before its services start: roles, schemas, topics, and the defaults of a local one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from deploy.local.credentials import PAPER
from deploy.local.databases import Databases
from deploy.local.wiring import PAPER_BROKER, Wiring
from shared import roles
from shared.contracts.topics import TopicNames
from shared.db import open_engine
from shared.http.auth import Scope, store_token
from shared.kafka import create_topics
from shared.migrations import EXIT_QUALIFICATION, TRADE_MANAGEMENT, migrate
from shared.settings import Settings

_APPLICATION = "exitflow-up"
_OPERATOR = "local-operator"

SWITCH_ON = text("""
-- local.switch_on: only what no operator has touched
UPDATE rollout SET mode = 'full', reason = 'local stack', updated_by = 'exitflow up', updated_at = clock_timestamp()
 WHERE updated_by = 'migration'
""")
CONNECT_PAPER = text("""
-- local.connect_paper: the port of the paper broker may have changed, what an operator said of it has not
INSERT INTO user_brokers (user_broker_id, broker, account, root_url, status)
VALUES (:user_broker_id, 'kite', :account, :root_url, 'CONNECTED')
ON CONFLICT (user_broker_id) DO UPDATE SET root_url = EXCLUDED.root_url, updated_at = clock_timestamp()
""")


def provision(wiring: Wiring, settings: Settings, on_progress: Callable[[str], None]) -> None:
    """Bring the databases and the cluster to what this version's services expect; repeating it is harmless.

    Raises
    ------
    ConfigurationError
        Something that exists does not fit.
    Unavailable
        Kafka does not answer.
    """
    _migrate(wiring.databases, on_progress)
    at_cluster = settings.model_copy(update={"kafka_bootstrap_servers": wiring.bootstrap_servers})
    made = create_topics(at_cluster, TopicNames(settings.kafka_topic_prefix).all_on_cluster())
    on_progress(f"topics: {len(made)} made")
    _set_defaults(wiring)


def _migrate(databases: Databases, on_progress: Callable[[str], None]) -> None:
    for admin_url in {databases.exit_admin_url, databases.trade_admin_url}:
        roles.create_roles(admin_url, databases.passwords)
    for history, url in (
        (EXIT_QUALIFICATION, databases.exit_url(roles.MIGRATOR)),
        (TRADE_MANAGEMENT, databases.trade_url(roles.MIGRATOR)),
    ):
        before, after = migrate(url, history)
        on_progress(f"schema {history} at {after}" + ("" if before == after else f", was {before or 'empty'}"))


def _set_defaults(wiring: Wiring) -> None:
    exit_engine = open_engine(wiring.databases.exit_url(roles.MIGRATOR), EXIT_QUALIFICATION, application=_APPLICATION)
    trade_engine = open_engine(wiring.databases.trade_url(roles.MIGRATOR), TRADE_MANAGEMENT, application=_APPLICATION)
    token = wiring.credentials.operator_token
    try:
        with exit_engine.begin() as connection:
            connection.execute(SWITCH_ON)
            connection.execute(
                CONNECT_PAPER,
                {"user_broker_id": PAPER, "account": PAPER.upper(), "root_url": wiring.url(PAPER_BROKER)},
            )
            store_token(connection, token, _OPERATOR, list(Scope))
        with trade_engine.begin() as connection:
            store_token(connection, token, _OPERATOR, list(Scope))
    finally:
        exit_engine.dispose()
        trade_engine.dispose()
