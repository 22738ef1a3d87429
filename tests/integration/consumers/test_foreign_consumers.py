"""Consumers of the documentation in Python, Java and Node on a real Kafka: they keep the promises."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka.broker import Broker
from deploy.local.kafka.jars import jars_cached, kafka_jars
from deploy.local.state.cache import cached
from shared.contracts.discarded import Discarded
from shared.contracts.events import event_classes
from shared.contracts.exits import ExitIntentApproved, ExitIntentFilled
from shared.contracts.topics import EXIT_INTENTS
from shared.ids import new_id
from shared.kafka.clients import headers_of
from tests.support.signing import SIGNER, signed, signed_in_group

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs/examples"
GOLDEN = ROOT / "docs/contracts/examples"
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
GAP_STATUS = 3
LIMIT_S = 120
UNUSABLE = b'{"trade_id": 1,'
APPROVED, FILLED, DISCARDED = (each.event_type() for each in (ExitIntentApproved, ExitIntentFilled, Discarded))

Json = dict[str, Any]


def golden(event_type: str) -> bytes:
    """The sample of an event."""
    return (GOLDEN / f"{event_type}.json").read_bytes()


@dataclass
class Topic:
    """A topic of one partition with its dead letters, and the expected end of a consumer's ledger."""

    bootstrap_servers: str
    name: str = field(default_factory=lambda: f"t{new_id().hex}.{EXIT_INTENTS}")
    ledger: list[Json] = field(default_factory=list)
    unusable_at: int = 0

    @property
    def dead_letters(self) -> str:
        """The topic of the other team."""
        return f"{self.name}.my-team.dlq"

    def __post_init__(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        made = admin.create_topics([NewTopic(self.name, 1, 1), NewTopic(self.dead_letters, 1, 1)])
        for result in made.values():
            result.result(LIMIT_S)
        self._places = cycle([None, 0, 2, 14, 0, None, 5])
        # As the relay's producer compresses.
        self._producer = Producer({"bootstrap.servers": self.bootstrap_servers, "compression.type": "lz4"})

    def write(
        self,
        key: str,
        sequence: int,
        event_type: str,
        value: bytes,
        event_id: str = "",
        forge: Callable[[str], str] = str,
        **changes: str,
    ) -> str:
        """Write one record; return its event's id. `forge` changes the signature, `changes` are other headers."""
        told = {
            "ce_id": event_id or str(new_id()),
            "ce_type": event_type,
            "ce_source": "/exitflow/exit-qualification",
            "ce_subject": "ठिकाना",
            "ce_time": "2026-01-13T03:45:00.123000Z",
            "ce_sequence": str(sequence),
        }
        # As a transaction with one event and those with many are signed.
        index, record = next(self._places), (self.name, key, value, told)
        headers = (signed(*record) if index is None else signed_in_group(index, *record)) | changes
        headers["ce_signature"] = forge(headers["ce_signature"])
        self._producer.produce(self.name, value, key, headers=[(name, text.encode()) for name, text in headers.items()])
        return told["ce_id"]

    def poison(self) -> None:
        """Write records no consumer can use: nothing but null, a header of null, bytes that are no text."""
        self._producer.produce(self.name, None, None)
        self._producer.produce(self.name, None, b"k1", headers=[("ce_id", None), ("ce_signature", None)])
        self._producer.produce(self.name, b"\xff", b"\xff", headers=[("ce_signature", b"\xff:\xff")])

    def expect(self, key: str, sequence: int, event_type: str, event_id: str, effect: Json | None = None) -> None:
        """Expect a line of the ledger."""
        line = {"event_id": event_id, "key": key, "sequence": sequence, "type": event_type, "effect": effect}
        self.ledger.append(line)

    def flush(self) -> None:
        """Wait until Kafka has it all."""
        assert self._producer.flush(LIMIT_S) == 0

    def set_aside(self) -> list[Message]:
        """Read the dead letters to their end."""
        reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": new_id().hex,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )
        reader.subscribe([self.dead_letters])
        found: list[Message] = []
        while True:
            record = reader.poll(LIMIT_S)
            if record is None or record.error():
                break
            found.append(record)
        reader.close()
        return found


@pytest.fixture
def topic(kafka: Broker) -> Topic:
    """Every case for a consumer; the last record leaves a gap."""
    made = Topic(kafka.bootstrap_servers)
    first = made.write("k1", 7, APPROVED, golden(APPROVED))  # joined late: a key may begin above 1
    made.expect("k1", 7, APPROVED, first)
    made.write("k1", 7, APPROVED, golden(APPROVED), first)
    made.write("k1", 8, FILLED, golden(FILLED), ce_sequence="9")  # forged
    made.write("k1", 8, FILLED, golden(FILLED), forge=lambda _: "0123456789abcdef:AAAA")
    made.write("k1", 8, FILLED, golden(FILLED), forge=lambda text: text.replace("/0:", "/10:"))  # beyond its group
    made.poison()
    unknown = made.write("k1", 8, "io.exitflow.OfTomorrow.v1", b'{"new":[1,2.50]}')
    made.expect("k1", 8, "io.exitflow.OfTomorrow.v1", unknown)
    discarded = made.write("k1", 9, DISCARDED, golden(DISCARDED))
    made.expect("k1", 9, DISCARDED, discarded)
    made.write("k1", 9, FILLED, golden(FILLED), discarded)  # the original, late
    filled = json.loads(golden(FILLED))
    grown = json.dumps(filled | {"field_of_tomorrow": {"ü": None}}, ensure_ascii=False).encode()
    effect = {name: filled[name] for name in ("trade_id", "filled_quantity", "average_price")}
    made.expect("k1", 10, FILLED, made.write("k1", 10, FILLED, grown), effect)
    of_topic = [each for each in event_classes() if getattr(each, "topic", "") == EXIT_INTENTS]
    assert len(of_topic) >= 8
    for sequence, each in enumerate(of_topic, 1):
        kind = each.event_type()
        made.expect(
            "k2", sequence, kind, made.write("k2", sequence, kind, golden(kind)), effect if kind == FILLED else None
        )
    unusable = made.write("k2", len(of_topic) + 1, FILLED, UNUSABLE)  # signed: set aside, and counted
    made.expect("k2", len(of_topic) + 1, FILLED, unusable)
    made.expect("k2", len(of_topic) + 2, APPROVED, made.write("k2", len(of_topic) + 2, APPROVED, golden(APPROVED)))
    made.unusable_at = 12 + len(of_topic)
    made.write("k1", 12, APPROVED, golden(APPROVED))
    made.flush()
    return made


def run(command: list[str], topic: Topic, folder: Path, group: str = "one") -> subprocess.CompletedProcess[str]:
    """Run a consumer until it ends."""
    (folder / "keys.pem").write_text(SIGNER.public_pem())
    env = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": topic.bootstrap_servers,
        "TOPIC": topic.name,
        "GROUP": f"{topic.name}.{group}",
        "KEYS": str(folder / "keys.pem"),
        "LEDGER": str(folder / "ledger.jsonl"),
        "DEAD_LETTERS": topic.dead_letters,
    }
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def check(ended: subprocess.CompletedProcess[str], topic: Topic, folder: Path, times: int = 1) -> None:
    """Every event had its effect once and in order, unusable records are set aside, and the gap ended it."""
    assert (ended.returncode, "k1: 10 is followed by 12" in ended.stderr) == (GAP_STATUS, True), ended.stderr
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    assert lines == topic.ledger
    check_set_aside(topic, times)


def check_set_aside(topic: Topic, times: int = 1) -> None:
    """The forged and the poisonous records are on the team's topic, unchanged."""
    letters = topic.set_aside()
    forged = ["2", "3", "4", "5", "6", "7"]
    again = forged * (times - 1)  # the inbox knows the unusable one, which was genuine
    assert [headers_of(each)["dlq_offset"] for each in letters] == [*forged, str(topic.unusable_at), *again]
    assert {headers_of(each)["dlq_topic"] for each in letters} == {topic.name}
    values = [*[golden(FILLED)] * 3, None, None, b"\xff"]
    assert [each.value() for each in letters] == [*values, UNUSABLE, *values * (times - 1)]
    assert headers_of(letters[0])["ce_id"]


def test_python_consumer_applies_each_event_once_and_stops_at_gap(topic: Topic) -> None:
    names: dict[str, Any] = {}
    for page, blocks in (("contracts/signatures.md", 1), ("how-to/consume-events.md", 2)):
        for block in CODE.findall((ROOT / "docs" / page).read_text())[:blocks]:
            exec(block, names)
    applied: list[tuple[str, Json]] = []
    consumer = names["Consumer"](
        sqlite3.connect(":memory:"),
        partial(names["verify"], trusted=names["trusted_keys"](SIGNER.public_pem())),
        lambda _, kind, event: applied.append((kind, event)),
    )
    with pytest.raises(names["GapFound"], match="10 is followed by 12"):
        names["read"]({"bootstrap.servers": topic.bootstrap_servers}, topic.name, consumer, topic.dead_letters)
    kinds = [each["type"] for each in topic.ledger if each["type"] != DISCARDED]
    assert [kind for kind, _ in applied] == [*kinds[:-2], APPROVED], "not the unusable one"
    assert json.loads(golden(FILLED)) in [event for kind, event in applied if kind == FILLED]
    check_set_aside(topic)


@pytest.fixture(scope="module")
def node() -> list[str]:
    """Node, and the packages of its consumer, installed once for each lock."""
    npm, program = shutil.which("npm"), shutil.which("node")
    if npm is None or program is None:
        pytest.skip("needs Node and npm")
    lock = (EXAMPLES / "node/package-lock.json").read_bytes()
    wanted = f"node-consumer-{hashlib.sha256(lock).hexdigest()[:12]}"

    def install(target: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(EXAMPLES / "node" / name, target)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", f"--prefix={target}"]
        subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=True)

    try:
        installed = cached(wanted, install)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm could not install kafkajs and lz4js")
    return [program, str(installed / "node_modules")]


@pytest.fixture
def node_command(node: list[str], tmp_path: Path) -> list[str]:
    """The command of the consumer as it is now, beside its packages."""
    program, packages = node
    (tmp_path / "node_modules").symlink_to(packages)
    shutil.copy(EXAMPLES / "node/consumer.mjs", tmp_path)
    return [program, str(tmp_path / "consumer.mjs")]


def test_node_consumer_applies_each_event_once_and_stops_at_gap(
    node_command: list[str], topic: Topic, tmp_path: Path
) -> None:
    check(run(node_command, topic, tmp_path), topic, tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"event_id": "cut off by a cra')
    # From the beginning, as after a lost offset: the inbox knows them all.
    check(run(node_command, topic, tmp_path, "again"), topic, tmp_path, times=2)


def test_java_consumer_applies_each_event_once_and_stops_at_gap(topic: Topic, tmp_path: Path) -> None:
    java = shutil.which("java")
    if java is None or not jars_cached():
        pytest.skip("needs Java and the jars of Apache Kafka")
    source = str(EXAMPLES / "java/src/main/java/ExitflowConsumer.java")
    flags = [
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Xmx256m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
    ]
    command = [java, *flags, "-cp", f"{kafka_jars()}/*", source]
    check(run(command, topic, tmp_path), topic, tmp_path)


def test_java_project_names_the_tested_versions() -> None:
    if not jars_cached():
        pytest.skip("needs the jars of Apache Kafka")
    pom = (EXAMPLES / "java/pom.xml").read_text()
    named = re.findall(r"<artifactId>([\w-]+)</artifactId>\s*<version>([\d.]+)</version>", pom)[1:]
    assert len(named) == 3
    assert [jar for name, version in named if not (kafka_jars() / (jar := f"{name}-{version}.jar")).exists()] == []
