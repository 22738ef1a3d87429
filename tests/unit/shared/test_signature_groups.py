"""Events written together share a signature; each is verified alone, and nothing else is taken for one of them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.outbox import signatures
from shared.outbox.hash_tree import PADDING, HashTree, leaf, node, root_by
from shared.outbox.signature_text import MOST_EVENTS_OF_SIGNATURE, PATTERN, SignatureText
from shared.outbox.signatures import (
    SIGNATURE_HEADER,
    EventSigner,
    SignedParts,
    TrustedKeys,
    UntrustedEvent,
    event_signer,
)
from shared.settings import Settings
from tests.support.records import message
from tests.support.signing import PRIVATE_KEY, SIGNER, TRUSTED

PAGE = Path(__file__).parents[3] / "docs/contracts/signatures.md"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
COUNTS = range(2, MOST_EVENTS_OF_SIGNATURE + 1)
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def event(nth: int, topic: str = "exits.intents.v1") -> SignedParts:
    return SignedParts(
        topic=topic,
        key=f"trade-{nth % 3}",
        sequence=str(nth),
        event_id=f"01900000-0000-7000-8000-{nth:012d}",
        event_type="io.exitflow.ExitIntentFilled.v1",
        source="/exitflow/exit-qualification",
        subject="ठिकाना",
        time="2026-01-13T03:45:00.123000Z",
        payload=b'{"n":%d}' % nth,
    )


def headers_of_event(parts: SignedParts, signature: str) -> dict[str, str]:
    return {
        "ce_sequence": parts.sequence,
        "ce_id": parts.event_id,
        "ce_type": parts.event_type,
        "ce_source": parts.source,
        "ce_subject": parts.subject,
        "ce_time": parts.time,
        SIGNATURE_HEADER: signature,
    }


def verify(parts: SignedParts, signature: str, trusted: TrustedKeys = TRUSTED) -> None:
    record = message(parts.topic, parts.payload, key_=parts.key.encode())
    trusted.verify(record, headers_of_event(parts, signature))


def refuses(parts: SignedParts, signature: str, trusted: TrustedKeys = TRUSTED) -> None:
    with pytest.raises(UntrustedEvent):
        verify(parts, signature, trusted)


def signed_group(count: int) -> tuple[list[SignedParts], list[str]]:
    events = [event(nth) for nth in range(count)]
    return events, SIGNER.sign_all(events)


EVENTS, SIGNATURES = signed_group(MOST_EVENTS_OF_SIGNATURE)


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The operations of Ed25519, none of them remembered from before."""
    done: list[str] = []

    def noted(name: str) -> Any:
        run = getattr(signatures, name)

        def noting(*arguments: bytes) -> bytes:
            done.append(name)
            result: bytes = run(*arguments)
            return result

        return noting

    signatures._verify_root.cache_clear()
    for name in ("crypto_sign", "crypto_sign_open"):
        monkeypatch.setattr(signatures, name, noted(name))
    yield done
    signatures._verify_root.cache_clear()


@pytest.mark.parametrize("count", [*COUNTS, 17, 18, 33])
def test_each_event_of_a_transaction_is_verified_alone(count: int) -> None:
    events = [event(nth, topic) for nth, topic in zip(range(count), ["b.v1", "a.v1"] * count, strict=False)]
    for parts, signature in zip(events, SIGNER.sign_all(events), strict=True):
        signatures._verify_root.cache_clear()
        verify(parts, signature)


@pytest.mark.parametrize(("count", "operations_needed"), [(1, 1), (2, 1), (16, 1), (17, 2), (32, 2), (100, 7)])
def test_a_group_is_signed_once_and_verified_once(operations: list[str], count: int, operations_needed: int) -> None:
    events, signed = signed_group(count)
    assert operations == ["crypto_sign"] * operations_needed
    operations.clear()
    for parts, signature in zip(events, signed, strict=True):
        verify(parts, signature)
    assert operations == ["crypto_sign_open"] * operations_needed


def test_a_lone_event_has_the_form_without_a_group() -> None:
    signature = SIGNER.sign(event(1))
    assert SIGNER.sign_all([event(1)]) == [signature]
    assert re.fullmatch("[0-9a-f]{16}:[A-Za-z0-9+/]{86}==", signature)
    assert SIGNER.sign_all([]) == []


def test_no_event_shares_a_signature_while_readers_know_none() -> None:
    signer = EventSigner(KEY, events_per_signature=1)
    events = [event(nth) for nth in range(20)]
    assert signer.sign_all(events) == [signer.sign(parts) for parts in events]


def test_the_setting_limits_the_events_of_a_signature() -> None:
    events = [event(nth) for nth in range(4)]
    for limit, signatures_needed in ((1, 4), (2, 2), (16, 1)):
        settings = Settings(event_signing_key=SecretStr(PRIVATE_KEY), events_per_signature=limit)
        signed = [SignatureText.parse(text).signature for text in event_signer(settings).sign_all(events)]
        assert len(set(signed)) == signatures_needed
    for limit in (0, 17):
        with pytest.raises(ValidationError):
            Settings(events_per_signature=limit)


def test_groups_are_of_one_topic_as_far_as_possible() -> None:
    events = [event(nth, topic) for nth in range(16) for topic in ("signals", "intents")]
    signed = [SignatureText.parse(text).signature for text in SIGNER.sign_all(events)]
    assert [len({signed[nth] for nth in range(first, 32, 2)}) for first in (0, 1)] == [1, 1]
    both = [SignatureText.parse(text).signature for text in SIGNER.sign_all([event(1, "signals"), event(1, "intents")])]
    assert both[0] == both[1]


def test_the_form_of_a_group_is_the_documented_one() -> None:
    signer, events = EventSigner(KEY), [event(nth) for nth in range(3)]
    first, second, third = [leaf(parts.to_bytes()) for parts in events]
    root = node(node(first, second), node(third, PADDING))
    signature = KEY.sign(b"io.exitflow.event-group.v1" + root)
    path = signature + PADDING + node(first, second)
    assert signer.sign_all(events)[2] == f"{signer.key_id}/2:{b64encode(path).decode()}"


@pytest.mark.parametrize("count", [1, *COUNTS])
def test_every_header_matches_the_contracts_pattern(count: int) -> None:
    for text in signed_group(count)[1]:
        assert re.search(PATTERN, text)
        assert str(SignatureText.parse(text)) == text


@given(st.data())
def test_a_changed_character_of_the_header_is_refused(data: st.DataObject) -> None:
    nth = data.draw(st.integers(0, 15))
    at = data.draw(st.integers(0, len(SIGNATURES[nth]) - 1))
    other = data.draw(st.sampled_from(f"{BASE64}=:/ é\n") | st.characters(codec="utf-8"))
    text = SIGNATURES[nth]
    if text[at] != other:
        refuses(EVENTS[nth], text[:at] + other + text[at + 1 :])


@given(st.data())
def test_a_changed_byte_of_signature_or_path_is_refused(data: st.DataObject) -> None:
    nth = data.draw(st.integers(0, 15))
    verify(EVENTS[nth], SIGNATURES[nth])  # its root is remembered
    signed = SignatureText.parse(SIGNATURES[nth])
    raw = bytearray(signed.signature + signed.path)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    refuses(EVENTS[nth], str(signed._replace(signature=bytes(raw[:64]), path=bytes(raw[64:]))))


@given(st.data())
def test_a_changed_part_of_the_event_is_refused(data: st.DataObject) -> None:
    nth = data.draw(st.integers(0, 15))
    name = data.draw(st.sampled_from(SignedParts._fields))
    value = getattr(EVENTS[nth], name)
    other = data.draw(st.binary() if name == "payload" else st.text(st.characters(codec="utf-8")))
    if other != value:
        changed: dict[str, Any] = {name: other}
        refuses(EVENTS[nth]._replace(**changed), SIGNATURES[nth])


@given(st.text() | st.from_regex(PATTERN) | st.from_regex(PATTERN.replace("{16}", "{15}")))
def test_any_other_text_is_refused(text: str) -> None:
    refuses(EVENTS[0], text)
    refuses(EVENTS[0], f"{SIGNER.key_id}{text[16:]}")


@given(st.integers(0, 15), st.integers(0, 15))
def test_an_event_has_no_other_place_in_its_group(nth: int, index: int) -> None:
    if nth != index:
        refuses(EVENTS[nth], SIGNATURES[index])
        refuses(EVENTS[nth], str(SignatureText.parse(SIGNATURES[nth])._replace(place=index)))


@pytest.mark.parametrize(("count", "beyond"), [(2, 2), (2, 14), (3, 4), (8, 8)])
def test_an_index_beyond_its_path_is_refused(count: int, beyond: int) -> None:
    events, signed = signed_group(count)
    text = str(SignatureText.parse(signed[1])._replace(place=1 + beyond))
    refuses(events[1], text)
    with pytest.raises(ValueError, match="no such place"):
        verify_as_documented(documented(), events[1], text)


def raw_text(index: object, raw: bytes) -> str:
    return f"{SIGNER.key_id}/{index}:{b64encode(raw).decode()}"


SIGNED = SignatureText.parse(SIGNATURES[0])
WHOLE = SIGNED.signature + SIGNED.path


MALFORMED = {
    "an index too high": raw_text(16, WHOLE),
    "a negative index": raw_text(-1, WHOLE),
    "an index of two zeros": raw_text("00", WHOLE),
    "no index": raw_text("", WHOLE),
    "an Arabic digit": raw_text("\u0660", WHOLE),
    "a very long index": raw_text("9" * 5000, WHOLE),
    "two indexes": raw_text("0/0", WHOLE),
    "a digest too many": raw_text(0, WHOLE + bytes(32)),
    "a very long path": raw_text(0, WHOLE + bytes(32 * 1000)),
    "a cut digest": raw_text(0, WHOLE[:-1]),
    "a digest too few": raw_text(0, WHOLE[:-32]),
    "no path": raw_text(0, SIGNED.signature),
    "no signature": raw_text(0, b""),
    "a path without an index": f"{SIGNER.key_id}:{b64encode(WHOLE).decode()}",
    "a signature of a group without index and path": f"{SIGNER.key_id}:{b64encode(SIGNED.signature).decode()}",
    "two slashes": SIGNATURES[0].replace("/", "//", 1),
    "a character too few": SIGNATURES[0][:-1],
    "padding too much": SIGNATURES[0] + "=",
    "a line end": SIGNATURES[0] + "\n",
    "the text twice": SIGNATURES[0] * 2,
    "no key id": "/0:",
}
"""Malformed headers by their fault. The texts differ in each process: the key is new."""


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_header_is_refused(text: str) -> None:
    refuses(EVENTS[0], text)


def test_unused_bits_of_base64_are_zero() -> None:
    events, signed = signed_group(4)
    text = signed[0]
    assert text.endswith("=")
    last = BASE64.index(text[-2])
    refuses(events[0], f"{text[:-2]}{BASE64[last + 1]}=")


def test_a_root_signed_by_another_key_is_refused() -> None:
    stranger = EventSigner(KEY)
    signed = stranger.sign_all(EVENTS)[0]
    verify(EVENTS[0], signed, TrustedKeys.of(stranger.public_pem(), "TEST"))  # its root is remembered
    refuses(EVENTS[0], signed)
    refuses(EVENTS[0], signed.replace(stranger.key_id, SIGNER.key_id))


@pytest.mark.parametrize("domain", [b"", signatures.DOMAIN])
def test_a_signature_over_a_root_needs_the_domain_of_groups(domain: bytes) -> None:
    trusted = TrustedKeys.of(EventSigner(KEY).public_pem(), "TEST")
    tree = HashTree([parts.to_bytes() for parts in EVENTS])
    forged = SignatureText(EventSigner(KEY).key_id, KEY.sign(domain + tree.root), 0, tree.path(0))
    refuses(EVENTS[0], str(forged), trusted)


def test_a_node_is_not_taken_for_an_event() -> None:
    tree = HashTree([b"a", b"b", b"c", b"d"])
    inner = leaf(b"a") + leaf(b"b")
    assert root_by(b"a", 0, tree.path(0)) == tree.root
    assert root_by(inner, 0, tree.path(0)[32:]) != tree.root
    assert root_by(b"\x01" + inner, 0, tree.path(0)[32:]) != tree.root


def test_no_failure_is_remembered_and_memory_is_bounded(operations: list[str]) -> None:
    signed = SignatureText.parse(SIGNATURES[0])
    forged = str(signed._replace(signature=bytes(64)))
    for _ in range(3):
        refuses(EVENTS[0], forged)
    assert operations == ["crypto_sign_open"] * 3
    remembered = signatures._verify_root.cache_info()
    assert (remembered.currsize, remembered.maxsize) == (0, signatures.ROOTS_REMEMBERED)
    verify(EVENTS[0], SIGNATURES[0])


def documented() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0], names)
    return names


def verify_as_documented(names: dict[str, Any], parts: SignedParts, signature: str) -> None:
    headers = {name: text.encode() for name, text in headers_of_event(parts, signature).items()}
    trusted = names["trusted_keys"](SIGNER.public_pem())
    names["verify"](parts.topic, parts.key.encode(), headers, parts.payload, trusted)


@pytest.mark.parametrize("count", [1, *COUNTS])
def test_other_teams_verify_groups_by_the_documented_code(count: int) -> None:
    names = documented()
    events, signed = signed_group(count)
    for parts, signature in zip(events, signed, strict=True):
        verify_as_documented(names, parts, signature)
        with pytest.raises(InvalidSignature):
            verify_as_documented(names, parts._replace(payload=b"{}"), signature)


@given(st.data())
def test_the_documented_code_refuses_a_changed_header(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SIGNATURES[3]) - 1))
    other = data.draw(st.sampled_from(f"{BASE64}=:"))
    text = SIGNATURES[3]
    if text[at] != other:
        with pytest.raises((KeyError, ValueError, InvalidSignature)):
            verify_as_documented(documented(), EVENTS[3], text[:at] + other + text[at + 1 :])


def test_readers_of_the_first_form_alone_find_no_such_key() -> None:
    names: Sequence[str] = [text.partition(":")[0] for text in SIGNATURES]
    assert SIGNER.key_id not in names
