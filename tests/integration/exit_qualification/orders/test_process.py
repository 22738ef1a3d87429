"""The process ``exit-orders`` against the paper broker over HTTP: orders out, fills in, kill -9 at the worst times."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from deploy.local.processes.ports import free_port
from services.exit_qualification.domain.intent import ExitIntent
from services.exit_qualification.kill_switch_service import KillSwitchService
from services.exit_qualification.orders.brokers.registry import BOOK_DAYS
from services.exit_qualification.storage.operator_controls import SwitchRepository
from services.paper_broker.positions import Entry
from shared.contracts.vocabulary import ExitReason, IntentStatus, KillSwitchMode
from shared.http.clients import direct
from shared.postgres.audit import Act
from tests.integration.exit_qualification.orders.order_scenario import OrderScenario
from tests.integration.exit_qualification.orders.scripted_broker import ScriptedBroker
from tests.integration.paper_broker.conftest import CREDENTIALS, RunningBroker, running_broker
from tests.support.product_process import ProductProcess, run
from tests.support.servers import Database
from tests.support.waiting import LIMIT_S, wait_until


@dataclass
class Scene:
    """A scenario with the running paper broker as user broker, and how to start the process on it."""

    scenario: OrderScenario
    paper: RunningBroker
    settings: dict[str, str]
    stack: ExitStack

    def start(self, **settings: str) -> ProductProcess:
        """The process; killed at the end if it still runs."""
        process = ProductProcess(run("run", "exit-orders"), {**self.settings, **settings})
        self.stack.callback(_end, process)
        return process

    def exit_of_a_new_trade(self) -> ExitIntent:
        """An approved exit of a trade with its position at the broker."""
        trade = self.scenario.open_trade()
        at_ms = self.paper.desk.records.now_ms()
        self.paper.enter(
            Entry(str(trade.trade_id), "PAPER", trade.symbol, "MIS", trade.quantity, trade.entry_price, at_ms)
        )
        return self.scenario.detect(trade)

    def reaches(self, intent: ExitIntent, status: IntentStatus) -> None:
        """Wait until an exit is in a status."""
        wait_until(lambda: self.scenario.intent(intent).status is status, f"the exit is {status}")

    def tags(self) -> list[str]:
        """The tags of all orders at the broker."""
        return [str(order["tag"]) for order in self.paper.client().orders()]

    def readiness(self) -> tuple[int, str]:
        """The answer of ``/readyz``; status 0 while nothing answers."""
        try:
            url = f"http://127.0.0.1:{self.settings['EXITFLOW_HTTP_PORT']}/readyz"
            answer = httpx.get(url, **direct(url))
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text


@contextmanager
def scene_of(engine: Engine, database: Database, directory: Path) -> Iterator[Scene]:
    """A scene with a paper broker of its own."""
    with ExitStack() as stack:
        paper = stack.enter_context(running_broker(directory))
        with engine.begin() as connection:
            switches = SwitchRepository(connection)
            switches.put_broker(
                replace(switches.broker("paper"), root_url=paper.url), Act("test", "set up"), book_days=BOOK_DAYS
            )
        settings = {
            "EXITFLOW_EXIT_DATABASE_URL": database.exit_url,
            "EXITFLOW_BROKER_CREDENTIALS": CREDENTIALS,
            "EXITFLOW_HTTP_PORT": str(free_port(str(directory))),
            "EXITFLOW_ORDER_CLAIM_S": "3",
            "EXITFLOW_BROKER_TIMEOUT_S": "1",
            "EXITFLOW_ABSENCE_GAP_S": "0.5",
            "EXITFLOW_REFUSAL_GAP_S": "0.5",
            "EXITFLOW_TESTING": "1",
        }
        yield Scene(OrderScenario(engine, ScriptedBroker()), paper, settings, stack)


@pytest.fixture
def scene(exit_engine: Engine, database: Database, tmp_path: Path) -> Iterator[Scene]:
    """A scene with the market at the target."""
    with scene_of(exit_engine, database, tmp_path) as found:
        found.paper.price("NSE:INFY", "1010.00")
        yield found


def _end(process: ProductProcess) -> None:
    process.kill()
    process.wait(LIMIT_S)


def test_approved_exits_are_filled_and_sigterm_ends_the_process(scene: Scene) -> None:
    process = scene.start()
    intents = [scene.exit_of_a_new_trade() for _ in range(10)]
    for intent in intents:
        scene.reaches(intent, IntentStatus.FILLED)
        assert scene.scenario.event_names(intent)[-1] == "Filled"
    assert sorted(scene.tags()) == sorted(intent.client_order_id for intent in intents)
    wait_until(lambda: scene.readiness()[0] == 200, "the process is ready")
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 0


@pytest.mark.parametrize(
    ("point", "status", "orders"),
    [
        ("orders.after_submitting", IntentStatus.FAILED, 0),
        ("orders.after_call", IntentStatus.FILLED, 1),
        ("orders.between_fetch_and_apply", IntentStatus.FILLED, 1),
    ],
)
def test_a_killed_process_never_causes_a_second_order(
    scene: Scene, point: str, status: IntentStatus, orders: int
) -> None:
    intent = scene.exit_of_a_new_trade()
    first = scene.start(EXITFLOW_FAILPOINTS=f"{point}=kill")
    assert first.wait(LIMIT_S) == -signal.SIGKILL
    scene.start()
    scene.reaches(intent, status)
    assert scene.tags() == [intent.client_order_id] * orders


def test_a_broker_rejection_fails_the_exit_and_keeps_the_trade(scene: Scene) -> None:
    scene.paper.fault({"kind": "reject", "message": "RMS: margin exceeds"})
    intent = scene.exit_of_a_new_trade()
    scene.start()
    scene.reaches(intent, IntentStatus.FAILED)
    assert scene.scenario.intent(intent).error_message == "RMS: margin exceeds"
    assert scene.scenario.trade_status(intent.trade_id) == "OPEN"


def test_a_timed_out_accepted_order_is_found_by_tag(scene: Scene) -> None:
    scene.paper.fault({"kind": "drop_answer", "after_ms": 1500})
    intent = scene.exit_of_a_new_trade()
    scene.start()
    scene.reaches(intent, IntentStatus.FILLED)
    assert scene.tags() == [intent.client_order_id]


def test_an_unfilled_order_is_cancelled_and_the_rest_exits_again(scene: Scene) -> None:
    scene.paper.fault({"kind": "partial_fill", "quantity": 40})
    intent = scene.exit_of_a_new_trade()
    scene.start(EXITFLOW_UNFILLED_CANCEL_S="1")
    scene.reaches(intent, IntentStatus.CANCELLED)
    wait_until(lambda: scene.scenario.cooldown_s(intent) < 0, "the back-off ends")
    rest = scene.scenario.detect(scene.scenario.trade_of(intent))
    scene.reaches(rest, IntentStatus.FILLED)
    assert scene.scenario.filled_of_trade(intent.trade_id) == 100


def test_without_its_broker_the_process_is_up_but_not_ready(
    exit_engine: Engine, database: Database, tmp_path: Path
) -> None:
    with scene_of(exit_engine, database, tmp_path) as scene:
        with exit_engine.begin() as connection:
            switches = SwitchRepository(connection)
            nowhere = replace(switches.broker("paper"), root_url=f"http://127.0.0.1:{free_port('nobody listens')}")
            switches.put_broker(nowhere, Act("test", "the broker is gone"), book_days=BOOK_DAYS)
        intent = scene.scenario.placed()
        process = scene.start()
        wait_until(_says(scene, "reconciler: paper: orders: NotConnected: 127.0.0.1:"), "readiness names the broker")
        assert process.poll() is None
        scene.scenario.expect(intent, IntentStatus.PLACED)


def _says(scene: Scene, what: str) -> Callable[[], bool]:
    def said() -> bool:
        status, text = scene.readiness()
        return status == 503 and what in text

    return said


@contextmanager
def silent_server() -> Iterator[tuple[str, Callable[[], bool]]]:
    """Yield the URL of a server with connections and no answers, and whether it has one."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as kept:
        listening.setblocking(False)

        def is_called() -> bool:
            try:
                kept.enter_context(listening.accept()[0])
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listening.getsockname()[1]}", is_called


def move_broker(engine: Engine, root_url: str) -> None:
    """Point the paper broker's account at another server."""
    with engine.begin() as connection:
        switches = SwitchRepository(connection)
        moved = replace(switches.broker("paper"), root_url=root_url)
        switches.put_broker(moved, Act("test", "moved"), book_days=BOOK_DAYS)


def test_sigterm_abandons_a_call_that_the_broker_does_not_answer(
    exit_engine: Engine, database: Database, tmp_path: Path
) -> None:
    with scene_of(exit_engine, database, tmp_path) as scene, silent_server() as (url, is_called):
        move_broker(exit_engine, url)
        intent = scene.exit_of_a_new_trade()
        process = scene.start(EXITFLOW_BROKER_TIMEOUT_S="60", EXITFLOW_ORDER_CLAIM_S="60")
        wait_until(is_called, "the broker is called")
        scene.reaches(intent, IntentStatus.SUBMITTING)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
        scene.scenario.expect(intent, IntentStatus.SUBMITTING)


def test_answered_kill_switch_lets_no_unnamed_order_out(scene: Scene) -> None:
    # The budget leaves some of the exits unsent, however quick the senders are.
    unfilled = {"EXITFLOW_ORDER_CLAIM_S": "30", "EXITFLOW_BROKER_TIMEOUT_S": "7", "EXITFLOW_ORDERS_PER_S": "2"}
    for number in range(2):
        scene.settings["EXITFLOW_HTTP_PORT"] = str(free_port(f"{scene.settings['EXITFLOW_HTTP_PORT']} {number}"))
        scene.start(**unfilled)
        wait_until(lambda: scene.readiness()[0] == 200, "the process is ready")
    intents = [scene.exit_of_a_new_trade() for _ in range(60)]
    wait_until(lambda: len(scene.tags()) >= 8, "both send")
    answer = KillSwitchService(scene.scenario.clock).put(
        scene.scenario.open_unit, KillSwitchMode.ALL, Act("test", "stop")
    )
    arrived, named = set(scene.tags()), {intent.client_order_id for intent in answer.on_their_way}
    for _ in range(2):
        manual = scene.scenario.detect(scene.scenario.open_trade(), ExitReason.MANUAL)
        named.add(manual.client_order_id)
        scene.reaches(manual, IntentStatus.FILLED)
    assert len(arrived) < len(intents)
    assert set(scene.tags()) - arrived <= named
