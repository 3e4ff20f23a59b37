"""Anything may happen to alerts on their way; in the end every channel has heard what it must, and nothing twice without need.

Hypothesis makes up the histories: outages, monitors that flap, routes with steps, reminders and quiet hours that are rewritten, people who
take outages on and give them back, mutes, lost tasks, a bus that refuses, messages that come twice, in another order or not at all,
receivers that fail or take a message without saying so, senders that are killed, receipts that are lost, doubled or late. What must be
heard `tests.alert_reference` says, and what is known of it `tests.edge_reference`.
"""

import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from unittest.mock import patch
from uuid import UUID

import msgspec
import psycopg
import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

import tests.integration.api.ready  # noqa: F401  (first: models cannot be imported before Django is set up)
from core.adapters.database import Pool, open_pool
from core.api.incidents.services import alerts_reconsider
from core.api.monitors.models import Monitor
from core.api.monitors.mutes import UNTIL_UNMUTED, monitor_mute, monitor_unmute
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.events import AlertRequested
from core.domain.acknowledgement import OutageOver
from lambdas.alert_dispatch.dispatch import FIRST_TRY_TIMEOUT_S, NotYet, Outgoing
from lambdas.alert_dispatch.errors import Transient
from lambdas.alert_dispatch.order import Order
from lambdas.alert_dispatch.places import Claimed, Place
from tests.alert_path import AlertPath, alert_path
from tests.alert_reference import HOUR, Story
from tests.edge_reference import Edge, Ending, Heard, goes_back
from tests.fakes import FakeMessage
from tests.integration.api.conftest import django_on
from tests.route_reference import Route, Subject, made_up_routes
from tests.unit.test_channels import SECRET

EXAMPLES: Final = int(os.environ.get("EXAMPLES", "50"))
LIMIT_S: Final = 400 + 4 * EXAMPLES
"""With the five minutes that may be spent on making a failing history short: a limit that strikes then is reported as a flaky test."""

SHOPS: Final = {"shop": Subject("db", "critical"), "blog": Subject("", "warning")}
ENOUGH_OUTAGES: Final = 30
CHANNELS: Final = 2
CHANNELS_AT_MOST: Final = 3
BETWEEN_CHANGES_S: Final = [360, 120]
"""Too seldom for flapping, but often enough for more outages in an hour than are told; or soon a monitor flaps."""

MUTES_S: Final = [900, 2700, None]
"""Some end while outages last, some outlive them, and one has no end."""

TAKES, FAILS, HANGS, HAS_NO_TOKEN = "takes", "fails", "hangs", "has no token"
TAKES_AND_HANGS, TAKES_AND_HANGS_UP = "takes and hangs", "takes and hangs up"
ENDINGS: Final = {
    TAKES: Ending.TAKEN,
    FAILS: Ending.REFUSED,
    HANGS: Ending.UNANSWERED,
    TAKES_AND_HANGS: Ending.UNANSWERED,
    TAKES_AND_HANGS_UP: Ending.UNANSWERED,
    HAS_NO_TOKEN: Ending.POSTPONED,
}
WAIT: Final = timedelta(seconds=30)
RELEASE: Final = Order.release


@dataclass
class Receivers:
    """Whoever is told. A `kill` falls before or after the receiver has taken a message."""

    clock: Callable[[], datetime]
    edge: Edge = field(default_factory=Edge)
    mood: str = TAKES
    heard: list[Heard] = field(default_factory=list)
    kill: str = ""
    calls: int = 0
    excused: Counter[UUID] = field(default_factory=Counter)
    """Messages that were taken while we could not know it: each of them may come once more."""

    impatient: list[Outgoing] = field(default_factory=list)
    """Messages that had more time than a first try has, or less than a later one."""

    vague: set[UUID] = field(default_factory=set)
    """Messages of which nobody knows how often they were tried: a breaker may have kept them back while the bus took no report of it."""

    def __call__(self, outgoing: Outgoing, config: WebhookConfig) -> None:
        data, now = outgoing.request.data, self.clock()
        self.calls += 1
        is_first = outgoing.timeout_s == FIRST_TRY_TIMEOUT_S
        if is_first != self.edge.is_first_try(data) and data.delivery_id not in self.vague:
            self.impatient.append(outgoing)
        if self.kill != "before" and self.mood in {TAKES, TAKES_AND_HANGS, TAKES_AND_HANGS_UP}:
            is_known = self.mood == TAKES and not self.kill
            self.heard.append(Heard(data, outgoing.newer, is_known))
            self.excused[data.delivery_id] += not is_known
        ending = Ending.KILLED if self.kill else ENDINGS[self.mood]
        self.edge.ends(data, ending, now, now + WAIT if ending is Ending.POSTPONED else None)
        self._answer(ending, now)

    def _answer(self, ending: Ending, now: datetime) -> None:
        if ending is Ending.KILLED:
            raise SystemExit
        if ending is Ending.POSTPONED:
            raise NotYet(now + WAIT, now)
        if ending is not Ending.TAKEN:
            hangs_up = self.mood == TAKES_AND_HANGS_UP
            raise Transient("no answer", timed_out=ending is Ending.UNANSWERED and not hangs_up, in_doubt=hangs_up)


SHOP: Final = st.sampled_from(range(len(SHOPS)))
MOOD: Final = st.sampled_from([TAKES, FAILS, HANGS, TAKES_AND_HANGS, TAKES_AND_HANGS_UP, HAS_NO_TOKEN])
TURN: Final = st.tuples(st.integers(0, 5), MOOD)
"""Which of the messages that are there, and how it ends."""

ORDER: Final = st.lists(st.integers(0, 5), min_size=4, max_size=6)
TROUBLES: Final = st.sampled_from(
    [(TAKES_AND_HANGS, FAILS), (HANGS, FAILS), (TAKES_AND_HANGS, HAS_NO_TOKEN), (FAILS, TAKES_AND_HANGS)]
)
"""Of a receiver that is well again after them."""


ROUTES: Final = st.lists(made_up_routes([UUID(int=number) for number in range(CHANNELS)]), max_size=2)


class Alerts(RuleBasedStateMachine):
    """The system beside what is true: `stories` has one of each monitor."""

    connection: psycopg.Connection
    pool: Pool

    def __init__(self) -> None:
        super().__init__()
        self._handled = sys.exception()
        self.receivers = Receivers(lambda: self.path.now)
        self.connection.execute("TRUNCATE outbox, workspace CASCADE")
        self.connection.commit()
        self._open = ExitStack()
        self.path: AlertPath = self._open.enter_context(alert_path(self.connection, self.pool, {WebhookConfig: self.receivers}))
        self.channels: set[UUID] = set()
        for _ in range(CHANNELS):
            self._add_channel()
        self.monitors = [self.path.monitor(name, subject) for name, subject in SHOPS.items()]
        self.stories = [Story(subject, self.channels) for subject in SHOPS.values()]

    @initialize(routes=ROUTES)
    def somebody_may_have_written_routes(self, routes: list[Route]) -> None:
        self.path.write_routes(routes)
        for story in self.stories:
            story.routes = routes

    def _add_channel(self) -> None:
        config = WebhookConfig(url="http://127.0.0.1/", secret=SECRET)
        self.channels.add(self.path.channel("webhook", config, UUID(int=len(self.channels))))

    # --- the world --------------------------------------------------------------------------------------------------

    @rule(index=SHOP, kicked=st.booleans(), after_s=st.sampled_from(BETWEEN_CHANGES_S))
    def state_changes(self, index: int, kicked: bool, after_s: int) -> None:
        """Its task runs, or is lost."""
        self.path.wait(timedelta(seconds=after_s))
        monitor, story = self.monitors[index], self.stories[index]
        if story.is_down:
            alert_ids = self.path.comes_up(monitor)
            story.comes_up(self.path.now)
        else:
            alert_ids = self.path.goes_down(monitor)
            story.goes_down(self.path.open_incident(monitor), self.path.now)
        if kicked:
            self.path.route(alert_ids)
            story.decide(self.path.now)

    @precondition(lambda self: sum(len(story.outages) for story in self.stories) < ENOUGH_OUTAGES)
    @rule(index=SHOP, kicked=st.lists(st.booleans(), min_size=4, max_size=10), after_s=st.sampled_from(BETWEEN_CHANGES_S))
    def outage_follows_outage(self, index: int, kicked: list[bool], after_s: int) -> None:
        """It flaps, or there are more than are told in an hour, or many that nobody has decided about yet."""
        for one in kicked:
            self.state_changes(index, one, after_s)

    @precondition(lambda self: any(story.outages for story in self.stories))
    @rule(index=SHOP, kicked=st.booleans())
    def somebody_takes_it_on(self, index: int, kicked: bool) -> None:
        """Whether anybody knows of the outage or not, once or again."""
        self._change_hands(index, taken_on=True, kicked=kicked)

    @precondition(lambda self: any(story.outages for story in self.stories))
    @rule(index=SHOP, kicked=st.booleans())
    def somebody_gives_it_back(self, index: int, kicked: bool) -> None:
        """As above."""
        self._change_hands(index, taken_on=False, kicked=kicked)

    def _change_hands(self, index: int, *, taken_on: bool, kicked: bool) -> None:
        story, act = self.stories[index], self.path.takes_on if taken_on else self.path.gives_back
        if not story.outages:
            return
        if not story.is_down:
            with pytest.raises(OutageOver):
                act(story.outages[-1].id)
            return
        alert_ids = act(story.outages[-1].id)
        notice = story.changes_hands(taken_on=taken_on, now=self.path.now)
        assert len(alert_ids) == (1 if notice else 0)
        if kicked and notice:
            self.path.route(alert_ids)
            story.say(notice, self.path.now)

    @rule(index=SHOP, seconds=st.sampled_from(MUTES_S))
    def somebody_asks_for_silence(self, index: int, seconds: int | None) -> None:
        """Before an outage, during one, or again."""
        monitor_mute(monitor=self._stored(index), now=self.path.now, for_s=seconds)
        self._mute(index, self.path.now + timedelta(seconds=seconds) if seconds else UNTIL_UNMUTED)

    @precondition(lambda self: any(story.is_muted(self.path.now) for story in self.stories))
    @rule(index=SHOP)
    def somebody_ends_the_silence(self, index: int) -> None:
        monitor_unmute(monitor=self._stored(index), now=self.path.now)
        self._mute(index, None)

    def _mute(self, index: int, until: datetime | None) -> None:
        self.stories[index].muted_until = until
        for story in self.stories:
            story.look_again(self.path.now)

    def _stored(self, index: int) -> Monitor:
        return Monitor.objects.get(id=self.monitors[index].id)

    @rule(routes=ROUTES)
    def routes_are_rewritten(self, routes: list[Route]) -> None:
        """For what is under way as well."""
        self.path.write_routes(routes)
        with transaction.atomic():
            alerts_reconsider(workspace_id=self.path.workspace, now=self.path.now)
        for story in self.stories:
            story.routes = routes
            story.look_again(self.path.now)

    @precondition(lambda self: len(self.channels) < CHANNELS_AT_MOST)
    @rule()
    def a_channel_is_added(self) -> None:
        """It hears of outages from now on, unless the route says otherwise, and not of what follows upon earlier ones."""
        self._add_channel()

    @rule(busy=st.booleans())
    def the_bus_is_busy_or_not(self, busy: bool) -> None:
        self.path.events.busy = busy

    @rule(seconds=st.sampled_from([1, 5, 11, 31, 200, 400]), swept=st.booleans())
    def time_passes(self, seconds: int, swept: bool) -> None:
        """A sweep may look at its end."""
        self.path.wait(timedelta(seconds=seconds))
        if swept:
            self.a_sweep_looks()

    # --- from the commit to the queue -------------------------------------------------------------------------------

    @rule()
    def a_sweep_looks(self) -> None:
        self.path.sweep()
        for story in self.stories:
            story.sweep(self.path.now)

    # --- alert_dispatch ---------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.path.alerts) > 0)
    @rule(number=st.integers(0, 9), mood=MOOD, kill=st.sampled_from(["", "", "", "before", "after"]), deleted=st.booleans())
    def a_message_is_received(self, number: int, mood: str, kill: str, deleted: bool) -> None:
        """Any of those that are visible; one that is not deleted comes again."""
        visible = self.path.alerts.receive(10)
        if not visible:
            return
        chosen = visible.pop(number % len(visible))
        self._show(visible)
        self._is_received(chosen, mood, kill, deleted=deleted)

    @precondition(lambda self: len(self.path.alerts) > 1)
    @rule(index=SHOP, channel=st.integers(0, CHANNELS_AT_MOST - 1), turns=st.lists(TURN, min_size=2, max_size=6))
    def one_channel_is_told_of_one_monitor(self, index: int, channel: int, turns: list[tuple[int, str]]) -> None:
        """All of it that is visible, in any order."""
        visible = self.path.alerts.receive(1000)
        of_story = [message for message in visible if _story_of(message) == (self.monitors[index].uid, UUID(int=channel))]
        self._show([message for message in visible if message not in of_story])
        for number, mood in turns[: len(of_story)]:
            self._is_received(of_story.pop(number % len(of_story)), mood)
        self._show(of_story)

    @rule(index=SHOP, channel=st.integers(0, CHANNELS_AT_MOST - 1), order=ORDER, troubles=TROUBLES)
    def it_goes_from_hand_to_hand(self, index: int, channel: int, order: list[int], troubles: tuple[str, str]) -> None:
        """Much is to be told of one outage at once, by way of a receiver that is in trouble for a moment."""
        if not self.stories[index].is_down:
            self.state_changes(index, kicked=True, after_s=BETWEEN_CHANGES_S[0])
        for taken_on in (True, False, True, False):
            self._change_hands(index, taken_on=taken_on, kicked=True)
        self.one_channel_is_told_of_one_monitor(
            index, channel, list(zip(order, [*troubles, *[TAKES] * len(order)], strict=False))
        )

    def _show(self, messages: list[FakeMessage]) -> None:
        for message in messages:
            self.path.alerts.change_visibility(message.receipt, 0)

    def _is_received(self, message: FakeMessage, mood: str, kill: str = "", *, deleted: bool = True) -> None:
        self.receivers.mood, self.receivers.kill = mood, kill
        try:
            with patch.object(Order, "release", _release_unless_killed):
                self._invoke(message, deletes=deleted)
        except SystemExit:
            assert kill
        finally:
            self.receivers.mood, self.receivers.kill = TAKES, ""

    def _invoke(self, message: FakeMessage, *, deletes: bool) -> None:
        """Whoever only waits has a reason. What a breaker keeps back counts as tried: that is reported, where the bus takes it."""
        calls, reported = self.receivers.calls, len(self.path.receipts)
        done = self.path.invoke(message, deletes=deletes)
        if done or self.receivers.calls > calls:
            return
        request = _request_in(message)
        if len(self.path.receipts) > reported:
            self.receivers.edge.tries[request.delivery_id] += 1
        elif self.path.events.busy:
            self.receivers.vague.add(request.delivery_id)
        else:
            assert self.receivers.edge.may_wait(request, self.path.now), request

    @precondition(lambda self: len(self.path.alerts) > 0)
    @rule()
    def the_queue_of_alerts_is_wiped(self) -> None:
        self.path.alerts.purge()

    # --- receipts ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.path.receipts) > 0)
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
    def what_is_told_is_what_must_be(self) -> None:
        """At once: neither later nor sooner, to those whom it concerns and to nobody else."""
        assert Counter(self.path.requested()) == Counter(
            (outage.id, place, message, channel)
            for story in self.stories
            for outage in story.outages
            for place, (message, channels) in outage.told.items()
            for channel in channels
        )

    @invariant()
    def nothing_comes_twice_without_need(self) -> None:
        for delivery_id, times in Counter(one.data.delivery_id for one in self.receivers.heard).items():
            assert times <= 1 + self.receivers.excused[delivery_id]

    @invariant()
    def nothing_goes_back(self) -> None:
        """Neither within an outage nor from one to an earlier one, unless it says so."""
        for story in self._heard_by_story().values():
            assert goes_back(story) == []

    @invariant()
    def who_waits_for_a_turn_has_not_tried(self) -> None:
        assert self.receivers.impatient == []

    def _heard_by_story(self) -> dict[tuple[UUID, UUID], list[Heard]]:
        """By channel and monitor."""
        found: dict[tuple[UUID, UUID], list[Heard]] = defaultdict(list)
        for one in self.receivers.heard:
            assert one.data.monitor
            found[one.data.channel_id, one.data.monitor.id].append(one)
        return found

    def teardown(self) -> None:
        """A history that was not broken off comes to its end."""
        with self._open:
            if sys.exception() is self._handled:
                self._ends()

    def _ends(self) -> None:
        """All trouble and all silence ends, and everything takes its course: then what each channel heard last is true."""
        self.path.events.busy = False
        self._silence_ends()
        for _ in ("what was told may be enough for an hour", "what is told now as well"):
            self.path.wait(HOUR)
            self.a_sweep_looks()
            self.what_is_told_is_what_must_be()
        self.path.settle(timedelta(days=4), self.a_sweep_looks)
        self.what_is_told_is_what_must_be()
        self._everybody_knows()
        self.nothing_comes_twice_without_need()
        self.nothing_goes_back()
        self.who_waits_for_a_turn_has_not_tried()

    def _silence_ends(self) -> None:
        for index, story in enumerate(self.stories):
            if story.muted_until == UNTIL_UNMUTED:
                self.somebody_ends_the_silence(index)
        self.path.now = max([self.path.now, *(story.muted_until for story in self.stories if story.muted_until)])

    def _everybody_knows(self) -> None:
        """How each outage ended, and how each monitor is."""
        assert {state for _, state, _ in self.path.deliveries()} <= {"delivered", "superseded"}
        outages = {
            (channel, one.id): words
            for story in self.stories
            for one in story.outages
            for channel, words in one.last_words().items()
        }
        heard = {_outage_of(one): one.data.alert_type for one in self.receivers.heard}
        assert set(heard) <= set(outages)
        assert [(known, heard.get(known), words) for known, words in outages.items() if heard.get(known, "") not in words] == []
        monitors = {
            (channel, monitor.uid): words
            for monitor, story in zip(self.monitors, self.stories, strict=True)
            for channel, words in story.last_words().items()
        }
        news = {known: one.data.alert_type for known, story in self._heard_by_story().items() for one in story if not one.newer}
        assert [(known, news.get(known), words) for known, words in monitors.items() if news.get(known, "") not in words] == []


def _outage_of(one: Heard) -> tuple[UUID, UUID]:
    assert one.data.incident
    return one.data.channel_id, one.data.incident.id


def _request_in(message: FakeMessage) -> AlertRequested:
    return msgspec.convert(json.loads(message.body)["detail"]["data"], AlertRequested)


def _story_of(message: FakeMessage) -> tuple[UUID, UUID]:
    request = _request_in(message)
    assert request.monitor
    return request.monitor.id, request.channel_id


def _release_unless_killed(order: Order, place: Place, claimed: Claimed, *, unsure: bool = False) -> None:
    """A killed process gives no lease back. Who was to be killed while it sends, and does not get so far, does."""
    if not isinstance(sys.exception(), SystemExit):
        RELEASE(order, place, claimed, unsure=unsure)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@pytest.fixture
def mutes(database_url: str) -> Iterator[None]:
    """The API's own services work on the same database."""
    with django_on(database_url):
        yield


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.usefixtures("mutes")
def test_whatever_happens_everybody_hears_the_truth(connection: psycopg.Connection, pool: Pool) -> None:
    machine = type("AlertsHere", (Alerts,), {"connection": connection, "pool": pool})
    many = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(machine, settings=many)
