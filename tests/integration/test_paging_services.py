"""PagerDuty and Opsgenie: real receivers that judge as the services' documents say, and everything that they may answer."""

import re
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.contracts.channels.opsgenie import OpsgenieConfig
from core.contracts.channels.pagerduty import PagerDutyConfig
from core.contracts.events import IncidentFacts, MonitorFacts
from lambdas.alert_dispatch.channels.opsgenie import OpsgenieSender, alert
from lambdas.alert_dispatch.channels.pagerduty import PagerDutySender, event
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from tests.dispatching import BEGAN
from tests.services import PUBLIC_URL, Call, Reply, always, outgoing, poster, service

ROUTING_KEY: Final = "e93facc04764012d7bfb002500d5d1a6"
GENIE_KEY: Final = "eb243592-faa2-4ba2-a551-1afdf565c889"


def pagerduty(call: Call) -> Reply:
    """What Events API v2 checks: https://developer.pagerduty.com/docs/send-alert-event."""
    content, wrong = call.content, []
    if (call.method, call.path) != ("POST", "/v2/enqueue"):
        return Reply(404)
    if content["routing_key"] != ROUTING_KEY:
        wrong.append("Invalid routing key")
    if content["event_action"] not in {"trigger", "acknowledge", "resolve"} or not 0 < len(content["dedup_key"]) <= 255:
        wrong.append("bad action or key")
    payload = content["payload"]
    if not 0 < len(payload["summary"]) <= 1024 or payload["severity"] not in {"critical", "error", "warning", "info"}:
        wrong.append("bad summary or severity")
    if not payload["source"] or not isinstance(payload["custom_details"], dict) or len(call.body) > 512 * 1024:
        wrong.append("bad payload")
    datetime.fromisoformat(payload["timestamp"])
    if any(not re.match(r"https?://", link["href"]) for link in content.get("links", [])):
        wrong.append("bad link")
    if wrong:
        return Reply(400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong})
    return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": content["dedup_key"]})


def opsgenie(call: Call) -> Reply:
    """What the Alert API checks: https://docs.opsgenie.com/docs/alert-api."""
    content = call.content
    if call.headers.get("authorization") != f"GenieKey {GENIE_KEY}":
        return Reply(401, {"message": "Could not authenticate", "took": 0.0, "requestId": "r"})
    if re.fullmatch(r"/v2/alerts/[0-9a-f-]{36}/(close|acknowledge|unacknowledge)\?identifierType=alias", call.path):
        fits = set(content) <= {"user", "source", "note"} and len(content["note"]) <= 25_000
    elif call.path == "/v2/alerts":
        limits = {"message": 130, "alias": 512, "description": 15_000, "entity": 512, "source": 100}
        fits = bool(content["message"]) and all(len(content[name]) <= limit for name, limit in limits.items())
        fits &= content["priority"] in {"P1", "P2", "P3", "P4", "P5"} and all(len(tag) <= 50 for tag in content["tags"])
        fits &= sum(len(name) + len(value) for name, value in content["details"].items()) <= 8000
    else:
        return Reply(404, {"message": "Not found"})
    return (
        Reply(202, {"result": "Request will be processed", "took": 0.1, "requestId": "r"})
        if fits
        else Reply(422, {"message": "limits"})
    )


def send_page(url: str, *messages: Any, key: str = ROUTING_KEY, **config: Any) -> None:
    for message in messages:
        PagerDutySender(poster())(message, PagerDutyConfig(routing_key=key, api=url, **config))


def send_alert(url: str, *messages: Any, key: str = GENIE_KEY, **config: Any) -> None:
    for message in messages:
        OpsgenieSender(poster())(message, OpsgenieConfig(api_key=key, api=url, **config))


def test_pagerduty_triggers_and_resolves_by_the_incident() -> None:
    incident = uuid4()
    down, up = outgoing("down", order_key=incident), outgoing("recovered", order_key=incident)
    with service(pagerduty) as running:
        send_page(running.url, down, up)
    first, second = (call.content for call in running.calls)
    assert (first["event_action"], second["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == second["dedup_key"] == str(incident)
    assert first["payload"]["severity"] == "critical"
    assert first["payload"]["summary"] == "DOWN: Shop - There was no complete answer in time"
    assert first["payload"]["source"] == "https://shop.example.com/"
    assert (first["payload"]["component"], first["payload"]["class"]) == ("Shop", "timeout")
    assert first["payload"]["custom_details"]["Why"] == "There was no complete answer in time."
    assert first["links"] == [{"href": f"{PUBLIC_URL}/api/v1/incidents/{incident}/", "text": "The incident"}]


def test_opsgenie_opens_and_closes_by_the_incident() -> None:
    incident = uuid4()
    with service(opsgenie) as running:
        send_alert(running.url, outgoing("down", order_key=incident), outgoing("recovered", order_key=incident))
    opened, closed = running.calls
    assert (opened.content["alias"], opened.content["priority"], opened.content["tags"]) == (str(incident), "P1", ["down"])
    assert opened.content["message"] == "DOWN: Shop - There was no complete answer in time"
    assert closed.path == f"/v2/alerts/{incident}/close?identifierType=alias"
    assert "Shop is up again" in closed.content["note"]


def test_what_is_acknowledged_here_is_acknowledged_there() -> None:
    incident = uuid4()
    taken = IncidentFacts(
        id=incident,
        reason="timeout",
        detail="",
        began_at=BEGAN,
        opened_at=BEGAN,
        acknowledged_at=BEGAN,
        acknowledged_by="Ada",
    )
    told = outgoing("acknowledged", order_key=incident, incident=taken), outgoing("unacknowledged", order_key=incident)
    with service(pagerduty) as paged, service(opsgenie) as alerted:
        send_page(paged.url, *told)
        send_alert(alerted.url, *told)
    assert [(call.content["event_action"], call.content["dedup_key"]) for call in paged.calls] == [
        ("acknowledge", str(incident)),
        ("trigger", str(incident)),
    ]
    assert {call.content["payload"]["severity"] for call in paged.calls} == {"critical"}
    actions = [call.path.partition("?")[0].rpartition("/")[2] for call in alerted.calls]
    assert actions == ["acknowledge", "unacknowledge"]
    assert "Ada looks after it" in alerted.calls[0].content["note"]


def test_a_recovery_closes_what_was_opened_while_it_flapped() -> None:
    incident, flapping, earlier = uuid4(), uuid4(), uuid4()
    up = outgoing("recovered", order_key=incident, ends=[flapping, earlier])
    with service(pagerduty) as paged, service(opsgenie) as alerted:
        send_page(paged.url, up)
        send_alert(alerted.url, up)
    keys = [str(incident), str(flapping), str(earlier)]
    assert [(call.content["event_action"], call.content["dedup_key"]) for call in paged.calls] == [
        ("resolve", key) for key in keys
    ]
    assert [call.path for call in alerted.calls] == [f"/v2/alerts/{key}/close?identifierType=alias" for key in keys]


@pytest.mark.parametrize("alert_type", ["escalated", "reminder"])
def test_what_lasts_is_as_grave_as_its_beginning_and_belongs_to_its_page(alert_type: str) -> None:
    message = outgoing(alert_type)
    key = str(message.request.data.order_key)
    with service(pagerduty) as paged, service(opsgenie) as alerted:
        send_page(paged.url, message, severity="error")
        send_alert(alerted.url, message, priority="P2")
    page = paged.calls[0].content
    assert (page["event_action"], page["dedup_key"], page["payload"]["severity"]) == ("trigger", key, "error")
    assert (alerted.calls[0].content["alias"], alerted.calls[0].content["priority"]) == (key, "P2")


@pytest.mark.parametrize("alert_type", ["not_monitored", "flapping", "degraded", "certificate_expiring"])
def test_other_alerts_are_warnings(alert_type: str) -> None:
    message = outgoing(alert_type, incident=None)
    with service(pagerduty) as paged, service(opsgenie) as alerted:
        send_page(paged.url, message, severity="error")
        send_alert(alerted.url, message, priority="P2")
    assert paged.calls[0].content["payload"]["severity"] == "warning"
    assert alerted.calls[0].content["priority"] == "P3"


@pytest.mark.parametrize("notices", [("not_monitored", "monitored_again"), ("degraded", "fast_again")])
def test_a_notice_that_it_is_over_closes_the_one_that_it_is_so(notices: tuple[str, str]) -> None:
    gap = uuid4()
    with service(pagerduty) as running:
        send_page(running.url, *(outgoing(kind, order_key=gap, incident=None) for kind in notices))
    assert [(call.content["event_action"], call.content["dedup_key"]) for call in running.calls] == [
        ("trigger", str(gap)),
        ("resolve", str(gap)),
    ]


def test_a_test_opens_and_closes() -> None:
    message = outgoing("test", monitor=None, incident=None)
    with service(pagerduty) as paged, service(opsgenie) as alerted:
        send_page(paged.url, message)
        send_alert(alerted.url, message)
    assert [call.content["event_action"] for call in paged.calls] == ["trigger", "resolve"]
    assert [call.content["payload"]["severity"] for call in paged.calls] == ["info", "info"]
    assert [call.path.partition("?")[0].rpartition("/")[2] for call in alerted.calls] == ["alerts", "close"]
    assert alerted.calls[0].content["priority"] == "P5"


def test_severity_priority_and_region_are_the_users() -> None:
    message = outgoing()
    assert event(message, PagerDutyConfig(routing_key=ROUTING_KEY, severity="error"), "trigger")["payload"]["severity"] == "error"
    assert alert(message, OpsgenieConfig(api_key=GENIE_KEY, priority="P2"))["priority"] == "P2"
    assert PagerDutyConfig(routing_key=ROUTING_KEY, region="eu").url() == "https://events.eu.pagerduty.com/v2/enqueue"
    assert OpsgenieConfig(api_key=GENIE_KEY, region="eu").url() == "https://api.eu.opsgenie.com/v2/alerts"
    assert OpsgenieConfig(api_key=GENIE_KEY, region="jsm").url() == "https://api.atlassian.com/jsm/ops/integration/v2/alerts"


def test_a_wrong_key_disables() -> None:
    with service(pagerduty) as paged, pytest.raises(Permanent, match="Invalid routing key") as raised:
        send_page(paged.url, outgoing(), key="f" * 32)
    assert raised.value.disable_channel
    with service(opsgenie) as alerted, pytest.raises(Permanent, match="Could not authenticate") as raised:
        send_alert(alerted.url, outgoing(), key="f" * 36)
    assert raised.value.disable_channel


FAULTS: Final[list[tuple[Reply, type[Exception], bool | None, bool | None]]] = [
    (Reply(400, {"message": "Event object is invalid"}), Permanent, False, False),
    (Reply(400), Permanent, False, False),
    (Reply(429, headers={"Retry-After": "17"}), RateLimited, None, None),
    (Reply(429), RateLimited, None, None),
    (Reply(500), Transient, None, None),
    (Reply(503, headers={"Retry-After": "17"}), Transient, None, None),
    (Reply(404), Transient, None, None),
    (Reply(410), Transient, None, None),
    (Reply(302, headers={"Location": "https://elsewhere.example/"}), Transient, None, None),
    (Reply(reset=True), Transient, None, None),
]
OPSGENIE_FAULTS: Final = [
    (Reply(401), Permanent, True),
    (Reply(402), Permanent, True),
    (Reply(403, {"message": "You are not authorized", "code": 40301}), Permanent, True),
    (Reply(422, {"message": "Request body is not processable"}), Permanent, False),
]


@pytest.mark.parametrize(("reply", "error", "paged", "alerted"), FAULTS)
def test_what_both_may_answer(reply: Reply, error: type[Exception], paged: bool | None, alerted: bool | None) -> None:
    for send, disables in ((send_page, paged), (send_alert, alerted)):
        with service(always(reply)) as running, pytest.raises(error) as raised:
            send(running.url, outgoing())
        assert type(raised.value) is error
        assert getattr(raised.value, "disable_channel", None) is disables
        assert getattr(raised.value, "retry_after_s", None) == (17 if reply.headers.get("Retry-After") else None)


@pytest.mark.parametrize(("reply", "error", "disables"), OPSGENIE_FAULTS)
def test_what_opsgenie_documents_beyond(reply: Reply, error: type[Exception], disables: bool) -> None:
    with service(always(reply)) as running, pytest.raises(error) as raised:
        send_alert(running.url, outgoing())
    assert getattr(raised.value, "disable_channel", None) is disables


@pytest.mark.parametrize("send", [send_page, send_alert])
def test_a_service_that_hangs_times_out(send: Any) -> None:
    with service(always(Reply(hang=True))) as running, pytest.raises(Transient) as raised:
        send(running.url, outgoing(timeout_s=0.3))
    assert raised.value.timed_out


@given(st.text(max_size=3000), st.text(max_size=3000))
@settings(max_examples=60, deadline=None)
def test_whatever_is_in_a_name_the_documents_fit(name: str, detail: str) -> None:
    facts = MonitorFacts(id=uuid4(), kind="website", name=name, target=f"https://{detail[:500]}/")
    incident = IncidentFacts(id=uuid4(), reason="timeout", detail=detail, began_at=BEGAN, opened_at=BEGAN)
    message = outgoing(monitor=facts, incident=incident, text=detail)
    page = event(message, PagerDutyConfig(routing_key=ROUTING_KEY), "trigger")
    page["payload"]["timestamp"] = BEGAN.isoformat()
    assert pagerduty(call("/v2/enqueue", page)).status == 202
    genie = {"authorization": f"GenieKey {GENIE_KEY}"}
    assert opsgenie(call("/v2/alerts", alert(message, OpsgenieConfig(api_key=GENIE_KEY)), genie)).status == 202
    assert page["payload"]["summary"].isprintable()
    assert page["payload"]["source"].isprintable()


def call(path: str, content: Any, headers: dict[str, str] | None = None) -> Call:
    return Call("POST", path, headers or {}, msgspec.json.encode(content))
