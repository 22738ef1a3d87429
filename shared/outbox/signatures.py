"""Event signatures: services sign their events; consumers that move money accept only verified ones.

Ed25519 over the event's identity and content, or over the root of a hash tree of several events. The signature is a
column of the outbox row, so it survives parking, replays and republishing. It is sent as the header ``ce_signature``,
whose text is in `shared.outbox.signature_text`. The relay copies it and holds no key. Ticks are not signed: they are
market data of other teams.

libsodium signs and verifies, in two thirds and half of OpenSSL's time; keys are PEM, as OpenSSL reads them.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple, Self

from confluent_kafka import Message
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError

from shared.errors import ConfigurationError, MalformedMessage
from shared.outbox.hash_tree import HashTree, root_by
from shared.outbox.signature_text import MOST_EVENTS_OF_SIGNATURE, SignatureText
from shared.runtime.telemetry import counter
from shared.settings import PREFIX, Settings

log = logging.getLogger(__name__)

SIGNATURE_HEADER = "ce_signature"
DOMAIN = b"io.exitflow.event.v1"
"""Prefix of the signed bytes: no signature of another use can be taken for one of an event."""
GROUP_DOMAIN = b"io.exitflow.event-group.v1"
"""Prefix of a signed root, for the same reason."""

ROOTS_REMEMBERED = 4096
"""Verified roots: of 65,000 events, in 2 MiB. A reader meets the events of a group apart, one partition at a time."""

KEY_ID_CHARACTERS = 16
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)

UNTRUSTED = counter("untrusted_records", "records without a trusted signature", "topic")


class UntrustedEvent(MalformedMessage):
    """No trusted key for the topic signed this record; do not act on it."""

    code = "untrusted"


class SignedParts(NamedTuple):
    """The signed parts, in this order. The payload is the bytes on the wire, the rest is text."""

    topic: str
    key: str
    sequence: str
    event_id: str
    event_type: str
    source: str
    subject: str
    time: str
    payload: bytes

    def to_bytes(self) -> bytes:
        """Return the signed bytes: after `DOMAIN` each part with its length before it, four bytes big-endian."""
        *texts, payload = self
        signed = [DOMAIN]
        for part in (*map(str.encode, texts), payload):
            signed += (_length(len(part)), part)
        return b"".join(signed)


_length: Final = Struct(">I").pack


class EventSigner:
    """Signs events with the private key of one service.

    Parameters
    ----------
    events_per_signature:
        Events of one call that share a signature, at most.
    """

    def __init__(self, key: Ed25519PrivateKey, events_per_signature: int = MOST_EVENTS_OF_SIGNATURE) -> None:
        _, self._key = crypto_sign_seed_keypair(key.private_bytes_raw())
        self._public_key = key.public_key()
        self._group = events_per_signature
        self.key_id = key_id(self._public_key)

    def sign(self, parts: SignedParts) -> str:
        """Return the value of the header `SIGNATURE_HEADER` of an event by itself."""
        return str(SignatureText(self.key_id, self._signature(parts.to_bytes())))

    def sign_all(self, events: Sequence[SignedParts]) -> list[str]:
        """Return the header of each event. Groups are of one topic as far as possible: few readers read two."""
        by_topic = sorted(range(len(events)), key=lambda nth: events[nth].topic)
        headers = [""] * len(events)
        for first in range(0, len(events), self._group):
            group = by_topic[first : first + self._group]
            for nth, header in zip(group, self._sign_group([events[nth] for nth in group]), strict=True):
                headers[nth] = header
        return headers

    def _sign_group(self, events: Sequence[SignedParts]) -> list[str]:
        if len(events) == 1:
            return [self.sign(events[0])]
        tree = HashTree([parts.to_bytes() for parts in events])
        signature = self._signature(GROUP_DOMAIN + tree.root)
        return [str(SignatureText(self.key_id, signature, nth, tree.path(nth))) for nth in range(len(events))]

    def _signature(self, message: bytes) -> bytes:
        return crypto_sign(message, self._key)[:crypto_sign_BYTES]  # the message follows

    def public_pem(self) -> str:
        """Return the public key as PEM."""
        return self._public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True)
class TrustedKeys:
    """The public keys trusted by a consumer, 32 bytes each, by id; several during a key rotation."""

    keys: dict[str, bytes]

    @classmethod
    def of(cls, pem: str, setting: str) -> Self:
        """Read concatenated PEM public keys.

        Raises
        ------
        ConfigurationError
            There is none, or one is no Ed25519 key.
        """
        keys = {}
        for block in _PEM.findall(pem):
            try:
                key = load_pem_public_key(block.encode())
            except (ValueError, UnsupportedAlgorithm):
                key = None
            if not isinstance(key, Ed25519PublicKey):
                raise ConfigurationError(f"{setting}: one of the keys is no Ed25519 public key in PEM")
            keys[key_id(key)] = key.public_bytes_raw()
        if not keys:
            raise ConfigurationError(f"{setting} holds no public key in PEM")
        return cls(keys)

    def verify(self, record: Message, headers: Mapping[str, str]) -> None:
        """Raise unless a trusted key signed this record for this topic.

        Parameters
        ----------
        headers:
            Those of the record, as of `headers_of`.

        Raises
        ------
        UntrustedEvent
            It is not; counted and logged as an error, because somebody else writes to the topic.
        """
        try:
            self._verify(record, headers)
        except UntrustedEvent as error:
            UNTRUSTED.labels(record.topic() or "").inc()
            log.error("%s-%s@%s is not to be trusted: %s", record.topic(), record.partition(), record.offset(), error)
            raise

    def _verify(self, record: Message, headers: Mapping[str, str]) -> None:
        text = headers.get(SIGNATURE_HEADER, "")
        if not text:
            raise UntrustedEvent(f"no {SIGNATURE_HEADER}")
        try:
            signed = SignatureText.parse(text)
        except ValueError as error:
            raise UntrustedEvent(f"{SIGNATURE_HEADER} is none: {error}") from None
        key = self.keys.get(signed.key_id)
        if key is None:
            raise UntrustedEvent(f"signed by a key not trusted here: {signed.key_id!r}")
        try:
            _verify_event(key, signed, _parts_of(record, headers).to_bytes())
        except (CryptoError, ValueError):
            raise UntrustedEvent(f"the signature by key {signed.key_id} is not of this record") from None


def _verify_event(key: bytes, signed: SignatureText, event: bytes) -> None:
    if signed.path:
        _verify_root(key, signed.signature, root_by(event, signed.place, signed.path))
    else:
        crypto_sign_open(signed.signature + event, key)


@lru_cache(maxsize=ROOTS_REMEMBERED)
def _verify_root(key: bytes, signature: bytes, root: bytes) -> None:
    """Raise unless the key signed this root. Errors are not remembered, so a forger fills no memory."""
    crypto_sign_open(signature + GROUP_DOMAIN + root, key)


def _parts_of(record: Message, headers: Mapping[str, str]) -> SignedParts:
    key, value = record.key(), record.value()
    return SignedParts(
        topic=record.topic() or "",
        key=key.decode() if isinstance(key, bytes) else key or "",
        sequence=headers.get("ce_sequence", ""),
        event_id=headers.get("ce_id", ""),
        event_type=headers.get("ce_type", ""),
        source=headers.get("ce_source", ""),
        subject=headers.get("ce_subject", ""),
        time=headers.get("ce_time", ""),
        payload=value if isinstance(value, bytes) else (value or "").encode(),
    )


def key_id(key: Ed25519PublicKey) -> str:
    """Return the name of a key in signatures: the first 16 hex digits of SHA-256 over its 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_CHARACTERS]


def new_signing_key() -> str:
    """Return a new private key as PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def event_signer(settings: Settings) -> EventSigner:
    """Return the signer of a process that writes events.

    Raises
    ------
    ConfigurationError
        It has no key, or the key cannot be read. Never shows it.
    """
    if settings.event_signing_key is None:
        raise ConfigurationError(f"{PREFIX}EVENT_SIGNING_KEY is not set; `exitflow secrets key` makes a key")
    pem, setting = settings.event_signing_key.get_secret_value(), f"{PREFIX}EVENT_SIGNING_KEY"
    return signer_of(pem, setting, settings.events_per_signature)


def signer_of(pem: str, setting: str, events_per_signature: int = MOST_EVENTS_OF_SIGNATURE) -> EventSigner:
    """Return the signer with a private key in PEM.

    Raises
    ------
    ConfigurationError
        It is no unencrypted Ed25519 key. Never shows it.
    """
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{setting} is no Ed25519 private key in PEM: `exitflow secrets key` makes one")
    return EventSigner(key, events_per_signature)


def exit_event_keys(settings: Settings) -> TrustedKeys:
    """Return the trusted keys of exit qualification's events, or raise ConfigurationError."""
    return _trusted(settings.exit_event_keys, f"{PREFIX}EXIT_EVENT_KEYS")


def trade_event_keys(settings: Settings) -> TrustedKeys:
    """Return the trusted keys of trade management's events, or raise ConfigurationError."""
    return _trusted(settings.trade_event_keys, f"{PREFIX}TRADE_EVENT_KEYS")


def _trusted(pem: str | None, setting: str) -> TrustedKeys:
    if pem is None:
        raise ConfigurationError(f"{setting} is not set; set it to the public keys of the events' writer")
    return TrustedKeys.of(pem, setting)
