"""`exitflow topics create|acls|grow|adopt`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from pydantic import TypeAdapter, ValidationError

from services.cli.support.command_line import AsJson, DataDir, examples, new_app
from services.cli.support.connection import Target
from services.cli.support.database_urls import service_databases
from services.cli.support.kafka_check import require_kafka
from services.cli.support.output import show_json, show_table
from services.cli.support.topics_adoption import adopt, plan
from shared.contracts.topics import TopicNames
from shared.errors import ConfigurationError, Unavailable
from shared.kafka.clients import open_admin
from shared.kafka.rights import RIGHTS, acls, allow, make_users
from shared.kafka.topic_changes import create_topics, grow_topics
from shared.postgres.audit import Act
from shared.settings import PREFIX, Settings
from shared.wording import plural

app = new_app("Create Kafka topics, their partitions and access rights.")


def add_to(root: typer.Typer, panel: str) -> None:
    """Add the group `topics` to a panel of the help."""
    root.add_typer(app, name="topics", rich_help_panel=panel)


@app.callback()
def group() -> None:
    """Manage the topics on Kafka."""


@app.command("create", epilog=examples("topics create", "topics create --acls"))
def create(
    with_users: Annotated[bool, typer.Option("--acls", help="Then do as `topics acls` does.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create missing topics with EXITFLOW_TOPIC_PARTITIONS partitions each."""
    settings = require_kafka(Target.choose(data_dir).settings())
    names = TopicNames(settings.kafka_topic_prefix).all_on_cluster()
    made = create_topics(settings, names)
    if as_json:
        show_json({"made": made, "present": [name for name in names if name not in made]})
    else:
        print(f"made {len(made)} of {plural(len(names), 'topic')}" + (f": {', '.join(made)}" if made else ""))
    if with_users:
        _allow_users(settings, as_json)


@app.command("acls", epilog=examples("topics acls"))
def allow_users(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Create the processes' users and their access rights; the cluster must deny by default.

    Needs an administrator's EXITFLOW_KAFKA_USERNAME. EXITFLOW_KAFKA_USERS holds the passwords of the users to create;
    other users only get their rights. Repeating it is harmless.
    """
    _allow_users(require_kafka(Target.choose(data_dir).settings()), as_json)


def _allow_users(settings: Settings, as_json: bool) -> None:
    passwords = _passwords(settings)
    wanted = acls(TopicNames(settings.kafka_topic_prefix), settings.kafka_consumer_prefix)
    admin = open_admin(settings)
    try:
        if passwords:
            make_users(admin, passwords)
        allow(admin, wanted)
    except KafkaException as error:
        raise Unavailable(f"Kafka rejected the change: {error.args[0].str()}") from error
    if as_json:
        show_json({"users": sorted(passwords), "acls": len(wanted)})
    else:
        print(f"{plural(len(passwords), 'user')} made, {plural(len(wanted), 'right')} given")


def _passwords(settings: Settings) -> dict[str, str]:
    if settings.kafka_users is None:
        return {}
    try:
        passwords = TypeAdapter(dict[str, str]).validate_json(settings.kafka_users.get_secret_value())
    except ValidationError:
        raise ConfigurationError(f"{PREFIX}KAFKA_USERS is not JSON of users and their passwords") from None
    unknown = sorted(set(passwords) - set(RIGHTS))
    if unknown:
        raise ConfigurationError(f"{PREFIX}KAFKA_USERS: no such users: {', '.join(unknown)}")
    return passwords


@app.command("grow", epilog=examples("topics grow market.ticks.v1 trades.v1 --partitions 24"))
def grow(
    topics: Annotated[list[str], typer.Argument(help="Topics, as the cluster names them.")],
    partitions: Annotated[int, typer.Option(help="How many each is to have.", min=1, max=1024)],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add partitions to topics with fewer. Existing records stay where they are.

    market.ticks.v1 and trades.v1 must have the same number: grow both, then run `exitflow ticks rehome`. The relay
    keeps using the previous partitions until `exitflow topics adopt`.
    """
    grown = grow_topics(require_kafka(Target.choose(data_dir).settings()), topics, partitions)
    if as_json:
        show_json({"grown": grown, "partitions": partitions})
    else:
        print(f"grown to {plural(partitions, 'partition')}: {', '.join(grown) or 'no topic'}")


@app.command(
    "adopt",
    epilog=examples(
        'topics adopt exits.intents.v1 --reason "more readers" --dry-run',
        'topics adopt exits.intents.v1 --reason "more readers"',
    ),
)
def adopt_partitions(
    topics: Annotated[list[str], typer.Argument(help="Topics, as the cluster names them.")],
    reason: Annotated[str, typer.Option(help="Why; audited.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; show the changes.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Although readers are behind: they may meet later events of a key first.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let the relay use a topic's added partitions; keys move to other partitions.

    Until then every key stays on its partition, so consumers read its events in order. Rejected while a consumer group
    has unread records.
    """
    databases = service_databases(data_dir)
    adoptions = plan(require_kafka(Target.choose(data_dir).settings()), databases, topics)
    if not dry_run:
        adopt(databases, adoptions, Act("cli", reason), force=force)
    if as_json:
        show_json({"adopted": [asdict(each) for each in adoptions], "dry_run": dry_run})
        return
    show_table(
        ("topic", "partitions used before", "partitions", "behind"),
        ([each.topic, each.used, each.partitions, sum(each.behind.values())] for each in adoptions),
    )
