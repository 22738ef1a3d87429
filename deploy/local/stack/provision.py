"""Prerequisites of a stack's services: roles, schemas, topics and local defaults."""

from __future__ import annotations

from collections.abc import Callable

from deploy.local.postgres.databases import Databases
from deploy.local.processes.service_environment import Wiring
from deploy.local.stack.seed_data import migrate_both, set_defaults
from shared.contracts.topics import TopicNames
from shared.kafka.topic_changes import create_topics
from shared.postgres import roles
from shared.runtime.catalogue import PAPER_BROKER
from shared.settings import Settings


def provision(wiring: Wiring, settings: Settings, on_progress: Callable[[str], None]) -> None:
    """Bring databases and cluster to the state expected by this version; repeatable.

    Raises
    ------
    ConfigurationError
        Something existing does not fit.
    Unavailable
        Kafka does not answer.
    """
    _migrate(wiring.databases, on_progress)
    at_cluster = settings.model_copy(update={"kafka_bootstrap_servers": wiring.bootstrap_servers})
    made = create_topics(at_cluster, TopicNames(settings.kafka_topic_prefix).all_on_cluster())
    on_progress(f"topics: {len(made)} made")
    migrator = roles.MIGRATOR
    set_defaults(
        wiring.databases.exit_url(migrator),
        wiring.databases.trade_url(migrator),
        operator_token=wiring.credentials.operator_token,
        paper_broker_url=wiring.url(PAPER_BROKER.name),
        trade_api_token=wiring.credentials.trade_api_token,
        execution_token=wiring.credentials.execution_token,
    )


def _migrate(databases: Databases, on_progress: Callable[[str], None]) -> None:
    for admin_url in {databases.exit_admin_url, databases.trade_admin_url}:
        roles.create_roles(admin_url, databases.passwords)
    migrate_both(databases.exit_url(roles.MIGRATOR), databases.trade_url(roles.MIGRATOR), on_progress)
