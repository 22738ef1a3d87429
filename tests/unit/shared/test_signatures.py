"""A signature covers every part of an event; only trusted keys verify it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Message
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from shared.errors import ConfigurationError
from shared.kafka.clients import headers_of
from shared.outbox.signatures import (
    SIGNATURE_HEADER,
    TrustedKeys,
    UntrustedEvent,
    event_signer,
    exit_event_keys,
    new_signing_key,
    signer_of,
    trade_event_keys,
)
from shared.runtime.telemetry import REGISTRY
from shared.settings import Settings
from tests.support.signing import SIGNER, TRUSTED, signed

PAGE = Path(__file__).parents[3] / "docs/contracts/signatures.md"
TOPIC, KEY, VALUE = "exits.intents.v1", "0190", b'{"price":"1010.00"}'
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "01900000-0000-7000-8000-000000000001",
    "ce_type": "io.exitflow.ExitIntentFilled.v1",
    "ce_source": "/exitflow/exit-qualification",
    "ce_subject": "0190",
    "ce_time": "2026-01-13T03:45:00.123000Z",
    "ce_sequence": "7",
}
SIGNED_HEADERS = [name for name in HEADERS if name != "ce_specversion"]


@dataclass(frozen=True)
class Record:
    """The used interface of a confluent_kafka Message."""

    topic_: str = TOPIC
    key_: bytes = KEY.encode()
    value_: bytes | None = VALUE
    headers_: tuple[tuple[str, bytes | str | None], ...] = ()

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 42

    def key(self) -> bytes:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> list[Any]:
        return list(self.headers_)


def _headers(headers: dict[str, str]) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, text.encode()) for name, text in headers.items())


GENUINE = Record(headers_=_headers(signed(TOPIC, KEY, VALUE, HEADERS)))


def verify(record: Record, trusted: TrustedKeys = TRUSTED) -> None:
    message = cast(Message, record)
    trusted.verify(message, headers_of(message))


def with_header(name: str, value: str) -> Record:
    headers = {**signed(TOPIC, KEY, VALUE, HEADERS), name: value}
    return replace(GENUINE, headers_=_headers(headers))


def test_what_a_trusted_key_signed_is_believed() -> None:
    verify(GENUINE)


@pytest.mark.parametrize("name", SIGNED_HEADERS)
def test_a_signed_header_that_differs_is_not(name: str) -> None:
    with pytest.raises(UntrustedEvent):
        verify(with_header(name, HEADERS[name] + "0"))
    with pytest.raises(UntrustedEvent):
        verify(with_header(name, ""))
    without = {key: text for key, text in signed(TOPIC, KEY, VALUE, HEADERS).items() if key != name}
    with pytest.raises(UntrustedEvent):
        verify(replace(GENUINE, headers_=_headers(without)))
    with pytest.raises(UntrustedEvent):
        verify(replace(GENUINE, headers_=(*GENUINE.headers_, (name, b"appended"))))


@pytest.mark.parametrize(
    "record",
    [
        replace(GENUINE, topic_="trades.v1"),
        replace(GENUINE, key_=b"0191"),
        replace(GENUINE, key_=b"\xff"),
        replace(GENUINE, value_=b'{"price":"1.00"}'),
        replace(GENUINE, value_=None),
        # The border between two parts moves.
        replace(GENUINE, topic_=TOPIC + KEY[:1], key_=KEY[1:].encode()),
    ],
)
def test_a_record_that_differs_is_not(record: Record) -> None:
    with pytest.raises(UntrustedEvent):
        verify(record)


@given(
    st.one_of(
        st.text(max_size=120),
        st.binary(max_size=64).map(lambda raw: f"{GENUINE_KEY_ID}:{raw.hex()}"),
        st.sampled_from(["", ":", "a:b:c", "0" * 16 + ":" + "A" * 86 + "=="]),
    )
)
def test_any_other_signature_is_not(text: str) -> None:
    headers = tuple(item for item in GENUINE.headers_ if item[0] != SIGNATURE_HEADER)
    with pytest.raises(UntrustedEvent):
        verify(replace(GENUINE, headers_=(*headers, (SIGNATURE_HEADER, text.encode("utf-8", "replace")))))


GENUINE_KEY_ID: str = signed(TOPIC, KEY, VALUE, HEADERS)[SIGNATURE_HEADER].partition(":")[0]


def test_new_key_is_not_trusted_until_listed() -> None:
    new = signer_of(new_signing_key(), "test")
    only_new = TrustedKeys.of(new.public_pem(), "TEST")
    both = TrustedKeys.of(f"# old\n{SIGNER.public_pem()}\n# new\n{new.public_pem()}", "TEST")
    with pytest.raises(UntrustedEvent, match="not trusted"):
        verify(GENUINE, only_new)
    verify(GENUINE, both)


def test_a_refused_record_is_counted() -> None:
    def refused() -> float:
        return REGISTRY.get_sample_value("untrusted_records_total", {"topic": TOPIC}) or 0.0

    before = refused()
    with pytest.raises(UntrustedEvent):
        verify(Record())
    assert refused() == before + 1


def test_other_teams_verify_it_by_the_documented_code() -> None:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0], names)
    trusted = names["trusted_keys"](SIGNER.public_pem() + signer_of(new_signing_key(), "another").public_pem())
    headers = dict(GENUINE.headers_)
    assert len(trusted) == 2
    names["verify"](GENUINE.topic_, GENUINE.key_, headers, GENUINE.value_, trusted)
    with pytest.raises(InvalidSignature):
        names["verify"](GENUINE.topic_, GENUINE.key_, headers, b"{}", trusted)
    with pytest.raises(KeyError):
        names["verify"](GENUINE.topic_, GENUINE.key_, headers, GENUINE.value_, {})


@pytest.mark.parametrize("pem", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_keys_that_cannot_be_read_are_a_configuration_error(pem: str) -> None:
    with pytest.raises(ConfigurationError, match="TEST"):
        TrustedKeys.of(pem, "TEST")
    with pytest.raises(ConfigurationError, match="TEST"):
        signer_of(pem, "TEST")


def test_a_process_without_its_keys_does_not_start() -> None:
    bare = Settings(event_signing_key=None, exit_event_keys=None, trade_event_keys=None)
    for build, setting in [
        (event_signer, "EXITFLOW_EVENT_SIGNING_KEY"),
        (exit_event_keys, "EXITFLOW_EXIT_EVENT_KEYS"),
        (trade_event_keys, "EXITFLOW_TRADE_EVENT_KEYS"),
    ]:
        with pytest.raises(ConfigurationError, match=setting):
            build(bare)
    with pytest.raises(ConfigurationError) as refused:
        event_signer(Settings(event_signing_key=SecretStr("hush")))
    assert "hush" not in str(refused.value)
