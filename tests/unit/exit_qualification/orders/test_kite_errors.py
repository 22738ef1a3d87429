"""The meaning of the client's errors for the order being placed."""

from __future__ import annotations

import pytest
from kiteconnect import exceptions as kite
from urllib3.exceptions import ProtocolError, SSLError

from services.exit_qualification.orders.brokers.kite.broker import outcome_of_error
from services.exit_qualification.orders.brokers.kite.session import AnswerTimedOut, RedirectRefused
from services.exit_qualification.orders.brokers.port import NO_ANSWER, Ambiguous, NotAccepted


@pytest.mark.parametrize(
    "error", [kite.NetworkException("Too many requests", code=429), kite.TokenException("expired")]
)
def test_only_a_rate_limit_and_an_expired_token_accepted_nothing(error: Exception) -> None:
    assert isinstance(outcome_of_error(error), NotAccepted)


@pytest.mark.parametrize("unsent", [kite.NetworkException("no", code=429), kite.TokenException("no")])
def test_an_order_that_the_broker_declined_counts_as_sent(unsent: Exception) -> None:
    outcome = outcome_of_error(unsent)
    assert isinstance(outcome, NotAccepted)
    assert outcome.was_sent


@pytest.mark.parametrize(
    "error",
    [
        kite.OrderException("no", code=400),
        kite.GeneralException("margin", code=400),
        kite.PermissionException("no", code=403),
    ],
)
def test_a_400_or_403_reads_like_a_refusal(error: kite.KiteException) -> None:
    assert outcome_of_error(error) == Ambiguous(type(error).__name__, str(error), refused=True)


@pytest.mark.parametrize(
    "error",
    [
        kite.OrderException("Request TIMED OUT", code=400),
        kite.OrderException("no", code=500),
        kite.NetworkException("no", code=503),
        kite.DataException("no", code=502),
        AnswerTimedOut("the answer did not end within 7 s"),
        ProtocolError("Connection aborted", ConnectionResetError()),
        SSLError("the peer ended the connection"),
        RedirectRefused("a redirect"),
        KeyError("data"),
        TypeError("odd"),
    ],
)
def test_everything_else_says_nothing(error: Exception) -> None:
    outcome = outcome_of_error(error)
    assert isinstance(outcome, Ambiguous)
    assert (outcome.code, outcome.refused) == (NO_ANSWER, False)
