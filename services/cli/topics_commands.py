"""`exitflow topics create`."""

from __future__ import annotations

from services.cli.command_line import AsJson, DataDir, examples, new_app
from services.cli.output import show_json
from services.cli.target import Target
from shared.contracts.topics import TopicNames
from shared.kafka import create_topics

app = new_app("The topics on Kafka.")


@app.callback()
def group() -> None:
    """The topics on Kafka."""


@app.command("create", epilog=examples("topics create"))
def create(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Make the topics that do not exist yet, with EXITFLOW_TOPIC_PARTITIONS partitions each."""
    settings = Target.choose(data_dir).settings()
    names = TopicNames(settings.kafka_topic_prefix).all_on_cluster()
    made = create_topics(settings, names)
    if as_json:
        show_json({"made": made, "present": [name for name in names if name not in made]})
    else:
        print(f"made {len(made)} of {len(names)} topics" + (f": {', '.join(made)}" if made else ""))
