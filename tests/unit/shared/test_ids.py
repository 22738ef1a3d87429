"""Identifiers."""

from __future__ import annotations

import hashlib
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.ids import client_order_id, new_id, new_id_text, new_traceparent


def test_new_ids_are_version_7_and_in_order() -> None:
    made = [new_id() for _ in range(1000)]
    assert all(type(one) is UUID and one.version == 7 for one in made)
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@given(st.uuids())
def test_client_order_id_is_stable_and_valid_broker_tag(intent_id: UUID) -> None:
    tag = client_order_id(intent_id)
    assert len(tag) == 20
    assert tag.isalnum()
    assert tag == tag.upper() == client_order_id(intent_id)


def test_a_traceparent_has_the_form_of_w3c() -> None:
    version, trace, span, flags = new_traceparent().split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")


def test_text_of_a_new_id_has_version_7() -> None:
    text = new_id_text()
    assert text == str(UUID(text))
    assert UUID(text).version == 7
    assert new_id() < UUID(new_id_text()) < new_id()


def test_broker_tag_is_a_digest_in_base_36() -> None:
    intent_id = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    digits = [int(each, 36) for each in client_order_id(intent_id)]
    number = int.from_bytes(hashlib.sha256(intent_id.bytes).digest())
    assert sum(digit * 36**nth for nth, digit in enumerate(digits)) == number % 36**20
