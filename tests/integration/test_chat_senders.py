"""Senders of chat services against services on loopback: what arrives, and what follows from everything a service may answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.discord import DiscordConfig
from core.contracts.channels.ntfy import NtfyConfig
from core.contracts.channels.slack import SlackConfig
from core.contracts.channels.teams import TeamsConfig
from core.contracts.channels.telegram import TelegramConfig
from core.contracts.events import ALERT_TYPES
from lambdas.alert_dispatch.channels.discord import DiscordSender
from lambdas.alert_dispatch.channels.ntfy import NtfySender
from lambdas.alert_dispatch.channels.slack import SlackSender
from lambdas.alert_dispatch.channels.teams import TeamsSender
from lambdas.alert_dispatch.channels.telegram import TelegramSender
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from lambdas.alert_dispatch.message import Message
from lambdas.alert_dispatch.posting import Poster
from tests import chat_rules
from tests.chat_services import ChatService, Reply, chat_service, outgoing, poster
from tests.receivers import Received
from tests.unit.test_chat_configs import NTFY_TOKEN, SLACK_TOKEN, TELEGRAM_TOKEN

STAYS, GOES = False, True
"""What becomes of a channel after an error that ends the delivery."""


def slack_webhook(request: Received) -> Reply:
    wrong = request.path != "/services/T0/B0/x" or request.headers["content-type"] != "application/json"
    fault = "no_service" if wrong else chat_rules.slack(json.loads(request.body))
    return Reply(404 if wrong else 400, fault.encode()) if fault else Reply()


def slack_bot(request: Received) -> Reply:
    content = json.loads(request.body)
    if request.path != "/api/chat.postMessage" or request.headers["authorization"] != f"Bearer {SLACK_TOKEN}":
        return Reply(200, {"ok": False, "error": "invalid_auth"})
    fault = "channel_not_found" if content["channel"] != "C0123456789" else chat_rules.slack(content)
    return Reply(200, {"ok": False, "error": fault} if fault else {"ok": True, "channel": "C0123456789", "message": content})


def teams(request: Received) -> Reply:
    if request.path != "/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=x":
        return Reply(404, {"error": {"code": "WorkflowNotFound", "message": "…"}})
    fault = chat_rules.teams(json.loads(request.body), len(request.body))
    return Reply(400, {"error": {"code": fault}}) if fault else Reply(202, b"")


def discord(request: Received) -> Reply:
    if request.path != "/api/webhooks/1/t?thread_id=5&wait=true":
        return Reply(404, {"message": "Unknown Webhook", "code": 10015})
    fault = chat_rules.discord(json.loads(request.body))
    return Reply(400, {"message": fault, "code": 50035}) if fault else Reply(200, {"id": "1"})


def telegram(request: Received) -> Reply:
    content = json.loads(request.body)
    if request.path != f"/bot{TELEGRAM_TOKEN}/sendMessage":
        return Reply(404, telegram_error(404, "Not Found"))
    if content["chat_id"] not in {"-100", "-100200"}:
        return Reply(400, telegram_error(400, "Bad Request: chat not found"))
    fault = chat_rules.telegram(content)
    return Reply(400, telegram_error(400, f"Bad Request: {fault}")) if fault else Reply(200, {"ok": True, "result": {}})


def telegram_error(code: int, description: str, **parameters: int) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": description, **({"parameters": parameters} if parameters else {})}


def ntfy(request: Received) -> Reply:
    if request.headers.get("authorization") != f"Bearer {NTFY_TOKEN}":
        return Reply(401, ntfy_error(40101, "unauthorized"))
    fault = "path" if request.path != "/" else chat_rules.ntfy(json.loads(request.body), len(request.body))
    return Reply(400, ntfy_error(40001, fault)) if fault else Reply(200, {"id": "x", "event": "message"})


def ntfy_error(code: int, error: str) -> dict[str, Any]:
    return {"code": code, "http": code // 100, "error": error, "link": "https://ntfy.sh/docs/"}


@dataclass(frozen=True)
class Kind:
    """A service, its sender, and the configuration that leads there."""

    judge: Callable[[Received], Reply]
    sender: Callable[[Poster], Callable[..., str | None]]
    config: Callable[[ChatService], ChannelConfig]

    def send(self, service: ChatService, alert_type: str = "down", timeout_s: float = 5.0) -> None:
        self.sender(poster())(outgoing(alert_type, timeout_s=timeout_s), self.config(service))


KINDS = {
    "slack webhook": Kind(slack_webhook, SlackSender, lambda at: SlackConfig(url=at.url("/services/T0/B0/x"))),
    "slack bot": Kind(slack_bot, SlackSender, lambda at: SlackConfig(token=SLACK_TOKEN, channel="C0123456789", api=at.url("/"))),
    "teams": Kind(
        teams, TeamsSender, lambda at: TeamsConfig(url=at.url("/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=x"))
    ),
    "discord": Kind(discord, DiscordSender, lambda at: DiscordConfig(url=at.url("/api/webhooks/1/t?thread_id=5&wait=false"))),
    "telegram": Kind(
        telegram,
        TelegramSender,
        lambda at: TelegramConfig(token=TELEGRAM_TOKEN, chat_id="-100", thread_id="7", api=at.url("/")),
    ),
    "ntfy": Kind(ntfy, NtfySender, lambda at: NtfyConfig(server=at.url("/"), topic="ops", token=NTFY_TOKEN)),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@every_kind
@pytest.mark.parametrize("alert_type", ALERT_TYPES)
def test_every_message_is_taken(kind: Kind, alert_type: str) -> None:
    with chat_service(kind.judge) as service:
        kind.send(service, alert_type)
        assert len(service.received) == 1
        assert service.received[0].headers["user-agent"].startswith("uptimemonitor/")


REFUSALS: list[tuple[str, Reply, type[Exception], bool | int | None]] = [
    # service, answer, error, and then: whether the channel is disabled, or the seconds to wait
    ("slack webhook", Reply(404, b"no_service"), Permanent, GOES),
    ("slack webhook", Reply(404, b"channel_not_found"), Permanent, GOES),
    ("slack webhook", Reply(410, b"channel_is_archived"), Permanent, GOES),
    ("slack webhook", Reply(403, b"invalid_token"), Permanent, GOES),
    ("slack webhook", Reply(403, b"team_disabled"), Permanent, GOES),
    ("slack webhook", Reply(400, b"user_not_found"), Permanent, GOES),
    ("slack webhook", Reply(400, b"invalid_payload"), Permanent, STAYS),
    ("slack webhook", Reply(403, b"action_prohibited"), Permanent, STAYS),
    ("slack webhook", Reply(403, b"posting_to_general_channel_denied"), Permanent, STAYS),
    ("slack webhook", Reply(302, b"", {"location": "/elsewhere"}), Permanent, STAYS),
    ("slack webhook", Reply(429, b"rate_limited", {"retry-after": "30"}), RateLimited, 30),
    ("slack webhook", Reply(500, b"rollup_error"), Transient, None),
    ("slack bot", Reply(200, {"ok": False, "error": "channel_not_found"}), Permanent, GOES),
    ("slack bot", Reply(200, {"ok": False, "error": "is_archived"}), Permanent, GOES),
    ("slack bot", Reply(200, {"ok": False, "error": "not_in_channel"}), Permanent, GOES),
    ("slack bot", Reply(200, {"ok": False, "error": "token_revoked"}), Permanent, GOES),
    ("slack bot", Reply(200, {"ok": False, "error": "account_inactive"}), Permanent, GOES),
    ("slack bot", Reply(200, {"ok": False, "error": "invalid_auth"}), Permanent, GOES),
    ("slack bot", Reply(200, {"ok": False, "error": "invalid_blocks"}), Permanent, STAYS),
    ("slack bot", Reply(200, {"ok": False, "error": "missing_scope"}), Permanent, STAYS),
    ("slack bot", Reply(200, {"ok": False, "error": "restricted_action"}), Permanent, STAYS),
    ("slack bot", Reply(200, {"ok": False, "error": "ratelimited"}, {"retry-after": "7"}), RateLimited, 7),
    ("slack bot", Reply(429, {"ok": False, "error": "ratelimited"}, {"retry-after": "9"}), RateLimited, 9),
    ("slack bot", Reply(429, b"", {"retry-after": "9"}), RateLimited, 9),
    ("slack bot", Reply(200, {"ok": False, "error": "internal_error"}), Transient, None),
    ("slack bot", Reply(200, {"ok": False, "error": "something_newer"}), Transient, None),
    ("slack bot", Reply(200, {"ok": "yes"}), Transient, None),
    ("slack bot", Reply(200, b"<html>"), Transient, None),
    ("slack bot", Reply(503, b"", {"retry-after": "60"}), Transient, 60),
    ("slack bot", Reply(400, b""), Permanent, STAYS),
    ("teams", Reply(404, {"error": {"code": "WorkflowNotFound"}}), Permanent, GOES),
    ("teams", Reply(400, {"error": {"code": "WorkflowTriggerIsNotEnabled"}}), Permanent, GOES),
    ("teams", Reply(401, {"error": {"code": "DirectApiAuthorizationRequired"}}), Permanent, STAYS),
    ("teams", Reply(413, {"error": "too large"}), Permanent, STAYS),
    ("teams", Reply(429, b"", {"retry-after": "20"}), RateLimited, 20),
    ("teams", Reply(502, {"error": {"code": "NoResponse"}}), Transient, None),
    ("discord", Reply(404, {"message": "Unknown Webhook", "code": 10015}), Permanent, GOES),
    ("discord", Reply(401, {"message": "Invalid Webhook Token", "code": 50027}), Permanent, GOES),
    ("discord", Reply(404, {"message": "Unknown Channel", "code": 10003}), Permanent, GOES),
    ("discord", Reply(400, {"message": "Invalid Form Body", "code": 50035}), Permanent, STAYS),
    ("discord", Reply(400, {"message": "thread_id needed", "code": 220001}), Permanent, STAYS),
    ("discord", Reply(403, {"message": "Missing Access", "code": 50001}), Permanent, STAYS),
    ("discord", Reply(403, b"<html>cloudflare"), Transient, None),
    ("discord", Reply(429, {"message": "limited", "retry_after": 1.65, "global": False}, {"retry-after": "1"}), RateLimited, 2),
    ("discord", Reply(429, b"cloudflare", {"retry-after": "3000"}), RateLimited, 3000),
    ("discord", Reply(500, b""), Transient, None),
    ("telegram", Reply(401, telegram_error(401, "Unauthorized")), Permanent, GOES),
    ("telegram", Reply(404, telegram_error(404, "Not Found")), Permanent, GOES),
    ("telegram", Reply(403, telegram_error(403, "Forbidden: bot was blocked by the user")), Permanent, GOES),
    ("telegram", Reply(403, telegram_error(403, "Forbidden: bot was kicked from the group chat")), Permanent, GOES),
    ("telegram", Reply(400, telegram_error(400, "Bad Request: chat not found")), Permanent, GOES),
    ("telegram", Reply(400, telegram_error(400, "Bad Request: message thread not found")), Permanent, STAYS),
    ("telegram", Reply(400, telegram_error(400, "Bad Request: can't parse entities")), Permanent, STAYS),
    ("telegram", Reply(403, b"<html>a proxy"), Permanent, STAYS),
    ("telegram", Reply(429, telegram_error(429, "Too Many Requests", retry_after=35)), RateLimited, 35),
    ("telegram", Reply(500, telegram_error(500, "Internal Server Error")), Transient, None),
    ("ntfy", Reply(401, ntfy_error(40101, "unauthorized")), Permanent, GOES),
    ("ntfy", Reply(403, ntfy_error(40301, "forbidden")), Permanent, GOES),
    ("ntfy", Reply(403, b"<html>a proxy"), Permanent, STAYS),
    ("ntfy", Reply(400, ntfy_error(40009, "invalid request: topic invalid")), Permanent, STAYS),
    ("ntfy", Reply(429, ntfy_error(42901, "limit reached: too many requests")), RateLimited, None),
    ("ntfy", Reply(429, ntfy_error(42908, "limit reached: daily message quota"), {"retry-after": "60"}), RateLimited, 60),
    ("ntfy", Reply(507, ntfy_error(50701, "no active subscriber")), Transient, None),
]


@pytest.mark.parametrize(
    ("name", "reply", "error", "then"), REFUSALS, ids=[f"{n}-{r.status}-{i}" for i, (n, r, _, _) in enumerate(REFUSALS)]
)
def test_what_an_answer_means(name: str, reply: Reply, error: type[Exception], then: bool | int | None) -> None:
    kind = KINDS[name]
    with chat_service(kind.judge) as service:
        service.replies = [reply]
        with pytest.raises(error) as raised:
            kind.send(service)
        assert type(raised.value) is error
        if isinstance(raised.value, Permanent):
            assert raised.value.disable_channel is then
        else:
            assert isinstance(raised.value, Transient)
            assert (raised.value.retry_after_s, raised.value.timed_out) == (then, False)
        assert str(reply.status) in str(raised.value)
        assert not any(secret in str(raised.value) for secret in (SLACK_TOKEN, TELEGRAM_TOKEN, NTFY_TOKEN, "/B0/", "sig="))
        assert len(service.received) == 1
        kind.send(service)


def test_the_reason_that_a_service_gave_is_told() -> None:
    told = {
        "slack webhook": (Reply(404, b"no_service"), r"Slack answered 404 \(no_service\)"),
        "slack bot": (Reply(200, {"ok": False, "error": "is_archived"}), r"Slack answered 200 \(is_archived\)"),
        "discord": (Reply(404, {"message": "Unknown\nWebhook", "code": 10015}), r"Discord answered 404 \(Unknown Webhook\)"),
        "telegram": (Reply(403, telegram_error(403, "Forbidden: blocked")), r"Telegram answered 403 \(Forbidden: blocked\)"),
        "teams": (Reply(404, {"error": {"code": "WorkflowNotFound"}}), r"the Teams workflow answered 404 \(WorkflowNotFound\)"),
        "ntfy": (Reply(403, ntfy_error(40301, "forbidden")), r"ntfy answered 403 \(forbidden\)"),
    }
    for name, (reply, text) in told.items():
        with chat_service(KINDS[name].judge) as service:
            service.replies = [reply]
            with pytest.raises(Permanent, match=text):
                KINDS[name].send(service)


@every_kind
def test_a_service_that_hangs_times_out(kind: Kind) -> None:
    with chat_service(kind.judge) as service:
        service.replies = [Reply(hang=True)]
        with pytest.raises(Transient) as raised:
            kind.send(service, timeout_s=0.4)
        assert raised.value.timed_out


@every_kind
def test_a_connection_that_is_reset_is_tried_again(kind: Kind) -> None:
    with chat_service(kind.judge) as service:
        service.replies = [Reply(reset=True)]
        with pytest.raises(Transient) as raised:
            kind.send(service)
        assert not raised.value.timed_out
        kind.send(service)


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"slack bot"}))
def test_a_body_that_never_comes_changes_nothing(name: str) -> None:
    """What is taken stays taken, and what is refused stays refused."""
    kind = KINDS[name]
    with chat_service(kind.judge) as service:
        service.replies = [Reply(200, b"x" * 10, stall=True), Reply(410, b"x" * 10, stall=True)]
        kind.send(service, timeout_s=0.4)
        with pytest.raises(Permanent):
            kind.send(service, timeout_s=0.4)


def test_slack_says_only_in_the_body_whether_a_bots_message_was_taken() -> None:
    kind = KINDS["slack bot"]
    with chat_service(kind.judge) as service:
        service.replies = [Reply(200, b"x" * 10, stall=True)]
        with pytest.raises(Transient) as raised:
            kind.send(service, timeout_s=0.4)
        assert raised.value.timed_out


def test_slacks_answer_to_a_bot_repeats_the_message_however_long_it_is() -> None:
    """Cut short it could not be read, and the message would be sent again and again."""
    told = Message("é" * 200, "", "", headline="é" * 3000, facts=(("Why", "é" * 2000),) * 10, closing="é" * 3000)
    with chat_service(slack_bot) as service:
        config = KINDS["slack bot"].config(service)
        assert isinstance(config, SlackConfig)
        SlackSender(poster())(replace(outgoing(), message=told), config)
        assert len(json.dumps(service.content())) > 100_000


def test_a_group_that_moved_is_written_to_at_its_new_id() -> None:
    kind = KINDS["telegram"]
    moved = Reply(400, telegram_error(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100200))
    with chat_service(kind.judge) as service:
        service.replies = [moved]
        kind.send(service)
        assert [json.loads(request.body)["chat_id"] for request in service.received] == ["-100", "-100200"]
        service.replies = [moved, moved]
        with pytest.raises(Permanent, match="upgraded") as raised:
            kind.send(service)
        assert not raised.value.disable_channel
        assert len(service.received) == 4, "a group that moves again and again is not followed for ever"


def test_a_topic_of_telegram_and_the_token_of_ntfy_are_optional() -> None:
    with chat_service(telegram) as service:
        TelegramSender(poster())(outgoing(), TelegramConfig(token=TELEGRAM_TOKEN, chat_id="-100", api=service.url()))
        assert "message_thread_id" not in service.content()
        KINDS["telegram"].send(service)
        assert service.content()["message_thread_id"] == 7
    with chat_service(lambda request: Reply()) as service:
        NtfySender(poster())(outgoing(), NtfyConfig(server=service.url(), topic="ops"))
        assert "authorization" not in service.received[0].headers
