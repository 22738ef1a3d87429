"""One key for everything written by tests: every process of a test signs with it and believes it."""

from __future__ import annotations

import os

from confluent_kafka import Message

from shared.kafka.clients import headers_of
from shared.outbox.signatures import SIGNATURE_HEADER, SignedParts, TrustedKeys, new_signing_key, signer_of

PRIVATE_KEY = new_signing_key()
SIGNER = signer_of(PRIVATE_KEY, "the tests' key")
TRUSTED = TrustedKeys.of(SIGNER.public_pem(), "the tests' key")

SETTINGS = {
    "EXITFLOW_EVENT_SIGNING_KEY": PRIVATE_KEY,
    "EXITFLOW_EXIT_EVENT_KEYS": SIGNER.public_pem(),
    "EXITFLOW_TRADE_EVENT_KEYS": SIGNER.public_pem(),
}


def sign_what_tests_write() -> None:
    """Give the key to the settings of this process and of the processes it starts."""
    os.environ.update(SETTINGS)


def parts_of(topic: str, key: str, value: bytes | None, headers: dict[str, str]) -> SignedParts:
    """The signed part of a record."""
    return SignedParts(
        topic=topic,
        key=key,
        sequence=headers.get("ce_sequence", ""),
        event_id=headers.get("ce_id", ""),
        event_type=headers.get("ce_type", ""),
        source=headers.get("ce_source", ""),
        subject=headers.get("ce_subject", ""),
        time=headers.get("ce_time", ""),
        payload=value or b"",
    )


def signed(topic: str, key: str, value: bytes | None, headers: dict[str, str]) -> dict[str, str]:
    """The headers of a record and its signature."""
    return {**headers, SIGNATURE_HEADER: SIGNER.sign(parts_of(topic, key, value, headers))}


def signed_in_group(index: int, topic: str, key: str, value: bytes | None, headers: dict[str, str]) -> dict[str, str]:
    """The headers of a record and its signature as the event at `index` of a group, the last but one."""
    parts = parts_of(topic, key, value, headers)
    others = [parts._replace(event_id=f"another {nth}") for nth in range(index + 1)]
    signatures = SIGNER.sign_all([*others[:index], parts, others[index]])
    return {**headers, SIGNATURE_HEADER: signatures[index]}


def signature_of(record: Message) -> str:
    """Return the signature of a record as it stands."""
    key, value = record.key(), record.value()
    key_text = key.decode() if isinstance(key, bytes) else key or ""
    value_bytes = value if isinstance(value, bytes) else (value or "").encode()
    return SIGNER.sign(parts_of(record.topic() or "", key_text, value_bytes, headers_of(record)))
