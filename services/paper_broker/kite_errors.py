"""Kite Connect errors: a type for clients to branch on, a message and an HTTP status."""

from __future__ import annotations

from typing import Literal

from shared.errors import ExitflowError

ErrorType = Literal[
    "TokenException",
    "PermissionException",
    "UserException",
    "InputException",
    "OrderException",
    "MarginException",
    "HoldingException",
    "NetworkException",
    "DataException",
    "GeneralException",
]

HTTP_STATUS: dict[ErrorType, int] = {
    "TokenException": 403,
    "PermissionException": 403,
    "UserException": 403,
    "InputException": 400,
    "OrderException": 400,
    "MarginException": 400,
    "HoldingException": 400,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}
"""Kite's default HTTP status of an error type."""


class KiteError(ExitflowError):
    """Refusal returned to the client in Kite's format."""

    code = "kite_error"

    def __init__(self, error_type: ErrorType, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.status = status or HTTP_STATUS[error_type]


def bad_input(message: str) -> KiteError:
    """Return the error for a missing or invalid parameter."""
    return KiteError("InputException", message)


def not_working(verb: str, status: str) -> KiteError:
    """Return the error for changing an ended order."""
    return KiteError("OrderException", f"Order cannot be {verb} as it is {status}.")


def changed_too_often() -> KiteError:
    """Return the error for one change of an order too many."""
    return KiteError("NetworkException", "Maximum allowed order modifications exceeded.", 429)


def no_such_order() -> KiteError:
    """Return the error for an order id missing in the account's book of the day."""
    return KiteError("OrderException", "Couldn't find that `order_id`.", 404)


def no_such_trigger() -> KiteError:
    """Return the error for a trigger id unknown to the account."""
    return KiteError("InputException", "Couldn't find that `trigger_id`.", 404)


def no_funds(message: str) -> KiteError:
    """Return the error for an order without sufficient funds."""
    return KiteError("MarginException", message)


def bad_token() -> KiteError:
    """Return the error for missing, wrong or expired credentials."""
    return KiteError("TokenException", "Incorrect `api_key` or `access_token`.")
