"""Requests wait for a slot without a thread, are refused in time, and leave health alone."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import httpx
import pytest
from fastapi import FastAPI

from shared.http.app import create_app
from shared.http.problems import MEDIA_TYPE
from shared.http.slots import Overloaded, RequestSlots
from shared.runtime.health import Health

SLOTS = 2


class Database:
    """Endpoint with a wait for its release; counts the calls at a time."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.lock = threading.Lock()
        self.running = self.most = 0

    def ask(self) -> str:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.answers.wait(30)
        with self.lock:
            self.running -= 1
        return "answer"


def app_on(database: Database, wait_s: float) -> FastAPI:
    app = create_app("test", Health())
    app.state.slots = RequestSlots(SLOTS, wait_s)
    app.get("/blocking")(database.ask)
    return app


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def test_requests_beyond_slots_are_refused_after_their_wait() -> None:
    database = Database()

    async def ask() -> list[httpx.Response]:
        async with client(app_on(database, 0.05)) as http:
            asked = [asyncio.create_task(http.get("/blocking")) for _ in range(60)]
            refused = [await each for each in asked[SLOTS:]]
            assert (await http.get("/healthz")).status_code == 200
            assert not any(each.done() for each in asked[:SLOTS])
            database.answers.set()
            served = [await each for each in asked[:SLOTS]]
            served.append(await http.get("/blocking"))
            assert {each.status_code for each in served} == {200}
            return refused

    refused = asyncio.run(ask())
    assert {(each.status_code, each.headers["retry-after"], each.headers["content-type"]) for each in refused} == {
        (503, "1", MEDIA_TYPE)
    }
    assert {(each.json()["code"], each.json()["retryable"]) for each in refused} == {("overloaded", True)}


def test_requests_that_get_their_slot_in_time_are_all_served() -> None:
    database = Database()

    async def ask() -> set[int]:
        async with client(app_on(database, 30)) as http:
            asked = [asyncio.create_task(http.get("/blocking")) for _ in range(200)]
            await asyncio.sleep(0)
            database.answers.set()
            return {(await each).status_code for each in asked}

    assert asyncio.run(ask()) == {200}
    assert database.most <= SLOTS


def test_slots_follow_arrival_order_and_are_freed_after_error() -> None:
    slots, order = RequestSlots(1, 30), list[int]()

    def fail(nth: int) -> None:
        order.append(nth)
        raise ValueError(nth)

    async def run() -> list[object]:
        calls = [slots.run(partial(fail, nth)) for nth in range(20)]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    assert all(isinstance(each, ValueError) for each in asyncio.run(run()))
    assert order == list(range(20))


def test_a_wait_given_up_by_its_caller_takes_no_slot() -> None:
    slots, database = RequestSlots(1, 30), Database()

    async def run() -> None:
        first = asyncio.create_task(slots.run(database.ask))
        second = asyncio.create_task(slots.run(database.ask))
        await asyncio.sleep(0.01)
        second.cancel()
        database.answers.set()
        assert await first == "answer"
        assert await slots.run(database.ask) == "answer"
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(run())
    assert database.most == 1


def test_nothing_is_called_for_a_refused_request() -> None:
    slots, database, called = RequestSlots(1, 0.01), Database(), list[int]()

    async def run() -> None:
        first = asyncio.create_task(slots.run(database.ask))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="no database connection was free within"):
            await slots.run(partial(called.append, 1))
        database.answers.set()
        await first

    asyncio.run(run())
    assert called == []
