"""Outages that were over before PagerDuty or Opsgenie could be reached, after news of the next one: nobody is called for them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.opsgenie import OpsgenieConfig
from core.contracts.channels.pagerduty import PagerDutyConfig
from core.contracts.events import AlertDelivered, AlertRequested, Detail, IncidentFacts, MonitorFacts
from core.flows.histories import incident_history
from lambdas.alert_dispatch.channels.opsgenie import OpsgenieSender
from lambdas.alert_dispatch.channels.pagerduty import PagerDutySender
from tests.alert_path import Senders, alert_path
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_dispatch import queued
from tests.integration.test_paging_services import GENIE_KEY, ROUTING_KEY, opsgenie, pagerduty
from tests.services import Call, Reply, poster, service

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
"""Before now, whatever the clock says."""

JUDGES = {"pagerduty": pagerduty, "opsgenie": opsgenie}
SENDERS: Senders = {PagerDutyConfig: PagerDutySender(poster()), OpsgenieConfig: OpsgenieSender(poster())}


def config(kind: str, api: str) -> ChannelConfig:
    if kind == "pagerduty":
        return PagerDutyConfig(routing_key=ROUTING_KEY, api=api)
    return OpsgenieConfig(api_key=GENIE_KEY, api=api)


@dataclass
class Desk:
    """Where people are called: what it took, as action and key; out of order it takes nothing, or takes it `without an answer`."""

    kind: str
    out_of_order: bool = False
    without_answer: bool = False
    taken: list[tuple[str, str]] = field(default_factory=list)

    def judge(self, call: Call) -> Reply:
        if self.out_of_order:
            return Reply(500)
        reply = JUDGES[self.kind](call)
        assert reply.status == 202
        self.taken.append(self._action(call))
        return Reply(hang=True) if self.without_answer else reply

    def _action(self, call: Call) -> tuple[str, str]:
        if self.kind == "pagerduty":
            return {"trigger": "open", "resolve": "close"}.get(call.content["event_action"], "change"), call.content["dedup_key"]
        _, _, rest = call.path.partition("?")[0].partition("/v2/alerts")
        _, key, action = rest.split("/") if rest else ("", call.content["alias"], "open")
        return action, key


@pytest.fixture(params=["pagerduty", "opsgenie"])
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


class Shop:
    """A monitor with outages of ten minutes, each half an hour after the one before."""

    def __init__(self, channel: UUID, kind: str) -> None:
        self._said = {
            "channel_id": channel,
            "channel_kind": kind,
            "monitor": MonitorFacts(id=uuid4(), kind="website", name="S", target="x"),
        }
        self._ids = [uuid4() for _ in range(3)]

    def key(self, outage: int) -> str:
        return str(self._ids[outage])

    def says(self, alert_type: str, outage: int, sequence: int | None = None) -> Detail[AlertRequested]:
        began = LONG_AGO + outage * 30 * MINUTE
        ended = began + 10 * MINUTE if alert_type == "recovered" else None
        facts = IncidentFacts(
            id=self._ids[outage], reason="timeout", detail="", began_at=began, opened_at=began + MINUTE, resolved_at=ended
        )
        place = {"sequence": sequence} if sequence else {}
        return alert_request(**self._said, **place, alert_type=alert_type, order_key=facts.id, incident=facts)  # type: ignore[arg-type]  # by name


def test_a_page_for_an_outage_that_is_over_is_not_sent(dispatch: Dispatch, desk: Desk) -> None:
    with service(desk.judge) as running:
        shop = Shop(dispatch.channel(desk.kind, msgspec.to_builtins(config(desk.kind, running.url))), desk.kind)
        late = [queued(dispatch, shop.says("down", 0)), queued(dispatch, shop.says("reminder", 0, 2))]
        recovered = queued(dispatch, shop.says("recovered", 0))
        desk.out_of_order = True
        assert dispatch.invoke(late[0]) == [late[0]["messageId"]]
        assert dispatch.invoke(recovered) == [recovered["messageId"]]
        desk.out_of_order = False
        assert dispatch.invoke(sqs_record(shop.says("down", 1))) == []
        dispatch.new_receipts()
        assert dispatch.invoke(*late) == []
        assert desk.taken == [("open", shop.key(1))], "the page of the outage that lasts, alone"
        receipts = dispatch.new_receipts()
        assert [(type(one), getattr(one, "superseded_by", None)) for one in receipts] == [(AlertDelivered, 1)] * 2
        assert dispatch.invoke(*late) == []
        assert sorted(map(repr, dispatch.new_receipts())) == sorted(map(repr, receipts)), "known, and said again"
        assert dispatch.invoke(recovered, sqs_record(shop.says("recovered", 1))) == []
    assert desk.taken[1:] == [("close", shop.key(0)), ("close", shop.key(1))]


def test_a_page_that_may_have_been_opened_is_closed_and_keeps_nobody_waiting(
    dispatch: Dispatch, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(desk.judge) as running:
        shop = Shop(dispatch.channel(desk.kind, msgspec.to_builtins(config(desk.kind, running.url))), desk.kind)
        down, reminder = queued(dispatch, shop.says("down", 0)), queued(dispatch, shop.says("reminder", 0, 2))
        desk.without_answer = True
        with monkeypatch.context() as patience:
            patience.setattr("lambdas.alert_dispatch.dispatch.FIRST_TRY_TIMEOUT_S", 0.5)
            assert dispatch.invoke(reminder) == [reminder["messageId"]]
        desk.without_answer = False
        assert dispatch.invoke(sqs_record(shop.says("down", 1))) == []
        assert dispatch.invoke(down) == [down["messageId"]], "until it is known what became of the reminder"
        assert dispatch.invoke(reminder, down, sqs_record(shop.says("recovered", 0))) == []
    without_answer = ("open", shop.key(0))
    assert desk.taken.count(without_answer) <= 1, "by the try that had no answer, if it got through"
    assert [one for one in desk.taken if one != without_answer] == [("open", shop.key(1)), ("close", shop.key(0))]


def test_a_page_for_the_latest_outage_is_sent_however_late(dispatch: Dispatch, desk: Desk) -> None:
    with service(desk.judge) as running:
        shop = Shop(dispatch.channel(desk.kind, msgspec.to_builtins(config(desk.kind, running.url))), desk.kind)
        desk.out_of_order = True
        late = queued(dispatch, shop.says("down", 1))
        assert dispatch.invoke(late) == [late["messageId"]]
        desk.out_of_order = False
        assert dispatch.invoke(sqs_record(shop.says("recovered", 0)), late, sqs_record(shop.says("reminder", 1, 2))) == []
    assert desk.taken == [("close", shop.key(0)), ("open", shop.key(1)), ("open", shop.key(1))]


def test_its_delivery_says_why_nobody_was_called(connection: psycopg.Connection, pool: Pool, desk: Desk) -> None:
    with service(desk.judge) as running, alert_path(connection, pool, SENDERS) as path:
        channel = path.channel(desk.kind, config(desk.kind, running.url))
        monitor = path.monitor()
        desk.out_of_order = True
        path.route(path.goes_down(monitor))
        over = path.open_incident(monitor)
        assert path.dispatch() == 1
        path.wait(SECOND)
        path.route(path.comes_up(monitor))
        assert path.dispatch() == 1
        desk.out_of_order = False
        path.wait(SECOND)
        path.route(path.goes_down(monitor))
        lasts = path.open_incident(monitor)
        path.settle(10 * MINUTE)
        states = [(alert_type, state) for alert_type, state, _ in path.deliveries(channel)]
        found = incident_history(connection, over)
    assert desk.taken == [("open", str(lasts)), ("close", str(over))]
    assert states == [("down", "superseded"), ("recovered", "delivered"), ("down", "delivered")]
    why = (
        "Not sent: a later message had already told the whole story, or the monitor's next outage showed that this one was over."
    )
    assert found
    assert why in [step.text for step in found.steps]
