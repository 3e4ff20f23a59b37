"""Anything may happen to alerts on their way; in the end every channel has heard how each incident is, and nothing twice without need.

Hypothesis makes up the histories: outages, lost tasks, a bus that refuses, messages that come twice, in another order or not at all,
receivers that fail or take a message without saying so, senders that are killed, receipts that are lost, doubled or late.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from core.adapters.database import Pool, open_pool
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.events import AlertRequested
from lambdas.alert_dispatch.dispatch import NotYet, Outgoing
from lambdas.alert_dispatch.errors import Transient
from tests.alert_path import AlertPath, alert_path
from tests.dispatch_in_memory import MemoryOrder
from tests.unit.test_channels import SECRET

SHOPS: Final = ("shop", "blog")
CHANNELS: Final = 2
BETWEEN_CHANGES: Final = timedelta(minutes=10)
"""Too seldom for flapping, which would hold messages back."""

TAKES, FAILS, HANGS, TAKES_AND_HANGS, HAS_NO_TOKEN = "takes", "fails", "hangs", "takes and hangs", "has no token"
WAIT: Final = timedelta(seconds=30)


@dataclass
class Receivers:
    """Whoever is told. A `kill` falls before or after the receiver has taken a message."""

    clock: Callable[[], datetime]
    mood: str = TAKES
    heard: list[AlertRequested] = field(default_factory=list)
    kill: str = ""
    excused: Counter[UUID] = field(default_factory=Counter)
    """Messages that were taken while we could not know it: each of them may come once more."""

    def __call__(self, outgoing: Outgoing, config: WebhookConfig) -> None:
        data, mood, kill = outgoing.request.data, self.mood, self.kill
        if kill == "before":
            raise SystemExit
        if mood in {TAKES, TAKES_AND_HANGS}:
            self.heard.append(data)
        if mood == TAKES_AND_HANGS or (mood == TAKES and kill == "after"):
            self.excused[data.delivery_id] += 1
        if kill:
            raise SystemExit
        if mood == HAS_NO_TOKEN:
            raise NotYet(self.clock() + WAIT, self.clock())
        if mood != TAKES:
            raise Transient("no answer", timed_out=mood != FAILS)


class Alerts(RuleBasedStateMachine):
    """The system beside what is true: `down` are the monitors that are down now."""

    connection: psycopg.Connection
    pool: Pool

    def __init__(self) -> None:
        super().__init__()
        self.receivers = Receivers(lambda: self.path.now)
        self.connection.execute("TRUNCATE outbox, workspace CASCADE")
        self.connection.commit()
        self._open = ExitStack()
        self.path: AlertPath = self._open.enter_context(alert_path(self.connection, self.pool, {WebhookConfig: self.receivers}))
        config = WebhookConfig(url="http://127.0.0.1/", secret=SECRET)
        self.channels = [self.path.channel("webhook", config, UUID(int=number)) for number in range(CHANNELS)]
        self.monitors = [self.path.monitor(name) for name in SHOPS]
        self.down: set[int] = set()

    # --- the world --------------------------------------------------------------------------------------------------

    @rule(index=st.sampled_from(range(len(SHOPS))), kicked=st.booleans())
    def state_changes(self, index: int, kicked: bool) -> None:
        """Its task runs, or is lost."""
        self.path.wait(BETWEEN_CHANGES)
        monitor = self.monitors[index]
        alert_ids = self.path.comes_up(monitor) if index in self.down else self.path.goes_down(monitor)
        self.down ^= {index}
        if kicked:
            self.path.route(alert_ids)

    @rule(busy=st.booleans())
    def the_bus_is_busy_or_not(self, busy: bool) -> None:
        self.path.events.busy = busy

    @rule(seconds=st.sampled_from([1, 5, 11, 31, 200, 400]))
    def time_passes(self, seconds: int) -> None:
        self.path.wait(timedelta(seconds=seconds))

    # --- from the commit to the queue -------------------------------------------------------------------------------

    @rule()
    def a_sweep_looks(self) -> None:
        self.path.sweep()

    # --- alert_dispatch ---------------------------------------------------------------------------------------------

    @rule(
        number=st.integers(0, 9),
        mood=st.sampled_from([TAKES, FAILS, HANGS, TAKES_AND_HANGS, HAS_NO_TOKEN]),
        kill=st.sampled_from(["", "", "", "before", "after"]),
        deleted=st.booleans(),
    )
    def a_message_is_received(self, number: int, mood: str, kill: str, deleted: bool) -> None:
        """Any of those that are visible; one that is not deleted comes again."""
        visible = self.path.alerts.receive(10)
        if not visible:
            return
        chosen = visible.pop(number % len(visible))
        for other in visible:
            self.path.alerts.change_visibility(other.receipt, 0)
        self.receivers.mood, self.receivers.kill = mood, kill
        try:
            with patch.object(MemoryOrder, "release", MemoryOrder.release if not kill else _nobody_tidies_up):
                self.path.invoke(chosen, deletes=deleted)
        except SystemExit:
            assert kill
        finally:
            self.receivers.mood, self.receivers.kill = TAKES, ""

    @rule()
    def the_queue_of_alerts_is_wiped(self) -> None:
        self.path.alerts.purge()

    # --- receipts ---------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 9), how=st.sampled_from(["once", "twice", "lost", "again later"]))
    def a_receipt_is_received(self, number: int, how: str) -> None:
        visible = self.path.receipts.receive(10)
        if not visible:
            return
        chosen = visible.pop(number % len(visible))
        for other in visible:
            self.path.receipts.change_visibility(other.receipt, 0)
        if how != "lost":
            for _ in range(2 if how == "twice" else 1):
                self.path.apply(chosen)
        if how != "again later":
            self.path.receipts.delete([chosen.receipt])

    # --- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def nothing_comes_twice_without_need(self) -> None:
        for delivery_id, times in Counter(data.delivery_id for data in self.receivers.heard).items():
            assert times <= 1 + self.receivers.excused[delivery_id]

    @invariant()
    def nobody_hears_of_an_outage_after_its_end(self) -> None:
        ended: set[tuple[UUID, UUID]] = set()
        for data in self.receivers.heard:
            place = (data.channel_id, data.order_key)
            assert not (data.alert_type == "down" and place in ended)
            if data.alert_type == "recovered":
                ended.add(place)

    def teardown(self) -> None:
        """All trouble ends, and everything takes its course: then what each channel heard last of each incident is true."""
        try:
            self.path.events.busy = False
            self.path.settle(timedelta(days=4))
            self._everybody_knows()
            self.nothing_comes_twice_without_need()
            self.nobody_hears_of_an_outage_after_its_end()
        finally:
            self._open.close()

    def _everybody_knows(self) -> None:
        """Of each incident. Those of one monitor have no order among themselves: see the page about alerts."""
        assert {state for _, state, _ in self.path.deliveries()} <= {"delivered", "superseded"}
        heard = {(data.channel_id, data.order_key): data.alert_type for data in self.receivers.heard}
        incidents = self.connection.execute("SELECT id, resolved_at IS NULL FROM incident").fetchall()
        self.connection.commit()
        assert len([1 for _, is_open in incidents if is_open]) == len(self.down)
        assert heard == {
            (channel, incident): self.expected(is_open=is_open) for channel in self.channels for incident, is_open in incidents
        }

    def expected(self, *, is_open: bool) -> str:
        """What everybody should have heard last of an incident. Whoever acknowledges or mutes will change this."""
        return "down" if is_open else "recovered"


def _nobody_tidies_up(*_: Any) -> None:
    """What a killed process does about the lease that it holds."""


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


def test_whatever_happens_everybody_hears_the_truth(connection: psycopg.Connection, pool: Pool) -> None:
    machine = type("AlertsHere", (Alerts,), {"connection": connection, "pool": pool})
    quick = settings(max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(machine, settings=quick)
