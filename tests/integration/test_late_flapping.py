"""The note that a monitor flaps, where a channel refuses it until people know more, or takes it without saying so."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.contracts.channels.webhook import WebhookConfig
from core.domain.alert_policy import FLAP_WITHIN, STABLE
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Transient
from tests.alert_path import AlertPath, alert_path
from tests.unit.test_channels import SECRET

SOON = timedelta(minutes=2)


class Receiver:
    """Refuses some types of messages, and takes some without an answer."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.refuses: set[str] = set()
        self.hangs: set[str] = set()

    def __call__(self, outgoing: Outgoing, _config: WebhookConfig) -> None:
        alert_type = outgoing.request.data.alert_type
        if alert_type in self.refuses:
            raise Transient("refused")
        self.heard.append(alert_type)
        if alert_type in self.hangs:
            raise Transient("no answer", timed_out=True)


class World:
    """One monitor and one channel."""

    def __init__(self, path: AlertPath, receiver: Receiver) -> None:
        self.path, self.receiver = path, receiver
        self.shop = path.monitor()
        path.channel("webhook", WebhookConfig(url="http://127.0.0.1/", secret=SECRET))
        self._is_down = False

    def changes(self, times: int) -> None:
        """Up or down, each soon after the one before."""
        for _ in range(times):
            self.path.wait(SOON)
            self.path.route(self.path.comes_up(self.shop) if self._is_down else self.path.goes_down(self.shop))
            self._is_down = not self._is_down
            self.path.dispatch()

    def stands_still(self) -> None:
        """For so long that people are told how it is."""
        self.path.wait(STABLE)
        self.path.sweep()
        self.path.dispatch()

    def ends(self) -> list[str]:
        """What was heard, once every message has taken its course and the receiver refuses nothing more."""
        self.receiver.refuses, self.receiver.hangs = set(), set()
        self.path.settle()
        return self.receiver.heard

    def states(self, alert_type: str) -> list[str]:
        return [state for kind, state, _ in self.path.deliveries() if kind == alert_type]


@pytest.fixture
def world(connection: psycopg.Connection, database_url: str) -> Iterator[World]:
    pool: Pool = open_pool(database_url, application="test", size=2)
    receiver = Receiver()
    with alert_path(connection, pool, {WebhookConfig: receiver}) as path:
        yield World(path, receiver)
    pool.close()


def test_after_the_end_nobody_hears_any_more_that_it_flapped(world: World) -> None:
    world.receiver.refuses = {"flapping"}
    world.changes(6)
    world.stands_still()
    assert world.ends() == ["down", "recovered", "down", "recovered", "down", "recovered"]
    assert world.states("flapping") == ["superseded"]


def test_after_the_next_outage_nobody_hears_any_more_that_it_flapped(world: World) -> None:
    world.receiver.refuses = {"flapping"}
    world.changes(7)
    world.stands_still()
    assert world.ends() == ["down", "recovered", "down", "recovered", "down", "down"]
    assert world.states("flapping") == ["superseded"]


def test_an_outage_is_told_after_the_note_that_came_with_it(world: World) -> None:
    world.changes(1)
    world.path.wait(FLAP_WITHIN)
    world.changes(6)
    assert world.receiver.heard[-1] == "flapping"
    world.stands_still()
    assert world.ends()[-2:] == ["flapping", "down"]
    assert world.states("flapping") == ["delivered"]


def test_nothing_waits_for_a_note_that_may_have_arrived_and_is_not_sent_again(world: World) -> None:
    world.changes(4)
    world.receiver.refuses, world.receiver.hangs = {"down"}, {"flapping"}
    world.changes(2)
    assert world.receiver.heard[-1] == "flapping"
    world.receiver.refuses = {"down", "flapping"}
    world.changes(1)
    world.stands_still()
    assert world.ends() == ["down", "recovered", "down", "recovered", "flapping", "down"]
    assert world.states("flapping") == ["superseded"]
    assert world.states("down") == ["delivered", "delivered", "superseded", "delivered"]
