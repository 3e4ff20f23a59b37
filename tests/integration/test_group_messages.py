"""Messages that tell many at once: what the services take, and which message is replaced."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import structs

from core.contracts.channels import registry
from core.contracts.events import AlertDelivered, AlertRequested, Detail, GroupFacts, GroupLine
from lambdas.alert_dispatch import limits
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent
from lambdas.alert_dispatch.listing import listing
from lambdas.alert_dispatch.message import compose, moment
from lambdas.alert_dispatch.message_brief import sms
from tests.aws_stand_in import AwsStandIn
from tests.chat_services import ChatService, Reply, chat_service, poster
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_chat_senders import KINDS, Kind, every_kind
from tests.receivers import Received, mail_server
from tests.unit.test_chat_configs import SLACK_TOKEN, TELEGRAM_TOKEN
from tests.unit.test_chat_messages import FRAGMENTS

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
NAMES = {"plain": "shop", "hostile": "".join(FRAGMENTS)[:100], "escapes": "&<>" * 33, "wide": "😀" * 50, "quotes": '"' * 100}


def line(number: int, state: Any = "down", name: str = "") -> GroupLine:
    until = NOW + timedelta(minutes=12) if state == "up" else None
    return GroupLine(
        monitor_id=uuid4(),
        kind="website",
        name=name or f"shop {number}",
        state=state,
        reason="" if state == "flapping" else "connect_refused",
        since=None if state == "flapping" else NOW,
        until=until,
    )


def group(*lines: GroupLine, more: int = 0, **changes: Any) -> GroupFacts:
    down = sum(one.state != "up" for one in lines) + more
    facts = GroupFacts(opened_at=NOW, as_of=NOW, down=down, up=len(lines) + more - down, lines=list(lines), more=more)
    return structs.replace(facts, **changes)


def asked(facts: GroupFacts, channel: UUID | None = None, **changes: Any) -> Detail[AlertRequested]:
    return alert_request(channel or uuid4(), alert_type="group", monitor=None, incident=None, group=facts, **changes)


def outgoing(facts: GroupFacts, replaces: str = "", timeout_s: float = 5.0) -> Outgoing:
    request = asked(facts)
    return Outgoing(request, compose(request.data, "https://up.example.com"), timeout_s, replaces)


@pytest.mark.parametrize(
    ("facts", "subject", "headline"),
    [
        (group(line(1), line(2), more=812), "DOWN: 814 monitors", "814 monitors went down."),
        (group(line(1), line(2, "up")), "DOWN: 1 monitor, and 1 up again", "1 monitor down, 1 up again."),
        (group(line(1, "up"), line(2, "up"), final=True), "UP: all 2 monitors again", "All 2 monitors are up again."),
        (group(line(1, "up"), final=True), "UP: 1 monitor again", "1 monitor is up again."),
    ],
)
def test_it_says_how_many_and_which(facts: GroupFacts, subject: str, headline: str) -> None:
    message = compose(asked(facts).data)
    assert message.subject == subject
    assert headline in message.text
    assert message.html.count("<br>") == len(facts.lines) - 1 + bool(facts.more)
    assert subject in sms(message)


def test_its_lines_say_why_and_since_when() -> None:
    message = compose(asked(group(line(1), line(2, "up"), line(3, "flapping"), more=812)).data)
    assert "DOWN shop 1 - The connection was refused, since 12:00:00 UTC\n" in message.text
    assert "UP shop 2 - was down 12 min\n" in message.text
    assert "FLAPPING shop 3\n… and 812 more\n" in message.text


def test_it_says_as_of_when_and_of_which_day() -> None:
    morning = structs.replace(group(line(1)), as_of=NOW + timedelta(hours=19))
    told = compose(asked(morning).data)
    assert told.facts[-1] == ("As of", moment(NOW + timedelta(hours=19)))
    assert told.lines == ("DOWN shop 1 - The connection was refused, since " + moment(NOW),)
    assert compose(asked(structs.replace(morning, down=0, up=1)).data).facts[-1][0] == "Until"


def test_a_list_is_cut_between_lines_and_counts_the_rest() -> None:
    lines = [f"line {number}" for number in range(100)]
    shown = listing(lines, 7, 200)
    assert shown[:-1] == lines[: len(shown) - 1]
    assert shown[-1] == f"… and {100 - len(shown) + 1 + 7} more"
    assert len("\n".join(shown)) <= 200
    assert listing(lines[:3], 0, 200) == lines[:3]


@every_kind
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("down", [True, False])
def test_every_service_takes_a_full_list_and_shows_some_of_it(kind: Kind, name: str, down: bool) -> None:
    facts = group(*(line(n, "down" if down else "up", name) for n in range(50)), more=812, replaces=True)
    with chat_service(kind.judge) as service:
        kind.sender(poster())(outgoing(facts), kind.config(service))
        [request] = service.received
        text = json.dumps(service.content(), ensure_ascii=False)
    assert " more" in text
    assert text.count("DOWN " if down else "UP ") >= 4
    assert request.method == "POST"


def edited(request: Received) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(request.body)
    return content


POSTED = {
    "slack bot": Reply(200, {"ok": True, "channel": "C0123456789", "ts": "1405894322.002768"}),
    "discord": Reply(200, {"id": "42"}),
    "telegram": Reply(200, {"ok": True, "result": {"message_id": 42, "chat": {"id": -100}}}),
}
GONE = {
    "slack bot": Reply(200, {"ok": False, "error": "message_not_found"}),
    "discord": Reply(404, {"code": 10008, "message": "Unknown Message"}),
    "telegram": Reply(400, {"ok": False, "error_code": 400, "description": "Bad Request: message to edit not found"}),
}
EDITS: dict[str, Callable[[Received], bool]] = {
    "slack bot": lambda got: (
        got.path == "/api/chat.update"
        and got.headers["authorization"] == f"Bearer {SLACK_TOKEN}"
        and (edited(got)["channel"], edited(got)["ts"]) == ("C0123456789", "1405894322.002768")
    ),
    "discord": lambda got: (got.method, got.path) == ("PATCH", "/api/webhooks/1/t/messages/42?thread_id=5"),
    "telegram": lambda got: (
        got.path == f"/bot{TELEGRAM_TOKEN}/editMessageText"
        and (edited(got)["chat_id"], edited(got)["message_id"]) == ("-100", 42)
    ),
}
every_editor = pytest.mark.parametrize("name", POSTED)


def send(name: str, service: ChatService, facts: GroupFacts, replaces: str = "") -> Any:
    return KINDS[name].sender(poster())(outgoing(facts, replaces), KINDS[name].config(service))


@every_editor
class TestReplacing:
    def test_the_message_is_replaced_by_its_id(self, name: str) -> None:
        with chat_service(lambda _: POSTED[name]) as service:
            message_id = send(name, service, group(line(1)))
            assert message_id
            assert send(name, service, group(line(1, "up"), replaces=True), message_id) == message_id
            assert not EDITS[name](service.received[0])
            assert EDITS[name](service.received[1])

    def test_one_that_somebody_deleted_is_posted_anew(self, name: str) -> None:
        with chat_service(lambda _: POSTED[name]) as service:
            message_id = send(name, service, group(line(1)))
            service.replies = [GONE[name]]
            assert send(name, service, group(line(1, "up"), replaces=True), message_id) == message_id
            assert EDITS[name](service.received[1])
            assert not EDITS[name](service.received[2])

    def test_what_is_refused_is_refused(self, name: str) -> None:
        with chat_service(KINDS[name].judge) as service:
            refusal = {"ok": False, "error": "invalid_blocks", "code": 50035, "description": "Bad Request: can't parse entities"}
            service.replies = [Reply(200 if name == "slack bot" else 400, refusal)]
            with pytest.raises(Permanent):
                send(name, service, group(line(1)), "1/1")
            assert len(service.received) == 1


def test_telegram_does_not_mind_an_edit_that_changes_nothing() -> None:
    same = {
        "ok": False,
        "error_code": 400,
        "description": "Bad Request: message is not modified: specified new message content …",
    }
    with chat_service(lambda _: Reply(400, same)) as service:
        assert send("telegram", service, group(line(1)), "-100/42") == "-100/42"
        assert len(service.received) == 1


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with mail_server() as mail, dispatch_environment(aws, monkeypatch, smtp_port=mail.port) as running:
        yield running


@every_editor
def test_through_dispatch_the_next_message_replaces_the_one_before(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(limits, "SLACK", limits.Limit(timedelta(seconds=1), 9))  # looks come minutes apart, these at once
    with chat_service(lambda _: POSTED[name]) as service:
        config = KINDS[name].config(service)
        [word] = [word for word, shape in registry.KINDS.items() if isinstance(config, shape)]
        channel, key = dispatch.channel(word, msgspec.to_builtins(config)), uuid4()
        first, second, third = (
            asked(group(line(1), replaces=replaces), channel, order_key=key, sequence=sequence)
            for sequence, replaces in ((1, False), (2, True), (4, False))
        )
        for request in (first, second, third):
            assert dispatch.invoke(sqs_record(request)) == []
        assert [EDITS[name](got) for got in service.received] == [False, True, False]
        assert dispatch.invoke(sqs_record(asked(group(line(1)), channel, order_key=key, sequence=3))) == []
        assert len(service.received) == 3, "what a later message of the group has told is not told again"
        receipts = dispatch.new_receipts()
        assert [one.superseded_by for one in receipts if isinstance(one, AlertDelivered)] == [None, None, None, 4]
