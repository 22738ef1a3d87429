"""Postbacks: order updates posted to the clients' receiver. Hints: an update without delivery is dropped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import httpx
from tenacity import (
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from services.paper_broker.accounts import Accounts, accounts_of
from services.paper_broker.order_updates import OrderUpdate
from services.paper_broker.orders import Order
from services.paper_broker.postback_format import postback
from services.paper_broker.postback_queue import PostbackQueue
from shared.clock import Clock
from shared.http.clients import direct
from shared.runtime.stopping import Stop
from shared.runtime.telemetry import counter
from shared.settings import Settings

log = logging.getLogger(__name__)

QUEUE_SIZE = 1000
"""Maximum number of waiting updates; a receiver slower for long misses the rest."""
ATTEMPTS = 3
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 1.0
POST_TIMEOUT_S = 2.0
STOP_LOOK_S = 0.5

POSTBACKS = counter("paper_broker_postbacks", "order updates to post, by result", "result")


class Result(StrEnum):
    """The outcome of an order update."""

    SENT = "sent"
    REFUSED = "refused"
    """The receiver does not want the update, or the settings no longer have the account to sign it."""
    FAILED = "failed"
    """No attempt was answered, or each with an error of the server."""
    QUEUE_FULL = "queue_full"
    LOST = "lost"
    """A fault rule lost it."""


class Postbacks:
    """Posts order updates from a separate thread: a slow or dead receiver never delays an order."""

    def __init__(self, url: str, accounts: Accounts, client: httpx.Client, queue: PostbackQueue) -> None:
        self._url = url
        self._accounts = accounts
        self._client = client
        self._queue = queue

    def announce(self, updates: Iterable[OrderUpdate]) -> None:
        """Queue the copies of these updates; drop and count those without a place. Never waits."""
        for update in updates:
            if not update.delays_ms:
                POSTBACKS.labels(Result.LOST).inc()
            for delay_ms in update.delays_ms:
                if not self._queue.put(update.order, delay_ms):
                    POSTBACKS.labels(Result.QUEUE_FULL).inc()

    def run(self, stop: Stop) -> None:
        """Post queued updates one after the other until stopped; those still queued then are dropped."""
        while not stop.is_set():
            order = self._queue.take(STOP_LOOK_S)
            if order is not None:
                POSTBACKS.labels(self._post(order, stop)).inc()

    def _post(self, order: Order, stop: Stop) -> Result:
        account = self._accounts.named(order.account)
        if account is None:
            return Result.REFUSED
        attempts = Retrying(
            retry=retry_if_result(lambda result: result is Result.FAILED),
            stop=stop_after_attempt(ATTEMPTS) | stop_when_event_set(stop),
            wait=wait_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            sleep=sleep_using_event(stop),
            retry_error_callback=lambda _: Result.FAILED,
        )
        return attempts(self._attempt, postback(order, account.credentials.api_secret))

    def _attempt(self, body: dict[str, object]) -> Result:
        """Post once. Log neither the address, as it may hold a password, nor the body."""
        try:
            answer = self._client.post(self._url, json=body)
        except httpx.RequestError as error:
            log.warning("update of order %s: the receiver does not answer: %s", body["order_id"], type(error).__name__)
            return Result.FAILED
        if answer.is_success:
            return Result.SENT
        log.info("update of order %s: the receiver answers %d", body["order_id"], answer.status_code)
        return Result.FAILED if answer.is_server_error else Result.REFUSED


@contextmanager
def open_postbacks(settings: Settings, clock: Clock) -> Iterator[Postbacks | None]:
    """Open the postbacks described by these settings, None if they are off; close their connections afterwards.

    Raises
    ------
    ConfigurationError
        Credentials cannot be used.
    """
    if settings.paper_broker_postback_url is None:
        yield None
        return
    url = str(settings.paper_broker_postback_url)
    with httpx.Client(
        timeout=POST_TIMEOUT_S,
        follow_redirects=False,  # the receiver is named by the settings alone
        **direct(url),
    ) as client:
        yield Postbacks(url, accounts_of(settings), client, PostbackQueue(clock, QUEUE_SIZE))
