"""Configurations of chat services: forms that are accepted, what is wrong with others, and that summaries hold no secret."""

from typing import Any

import msgspec
import pytest

from core.contracts.channels import registry
from core.contracts.channels.config import BadConfig

SLACK = "https://hooks.slack.com/services/T0123ABCD/B0456EFGH/abcdefSECRETghijklmnop"
SLACK_TOKEN = "xoxb-1234567890-1234567890123-SECRETabcdefghijkl"
TEAMS = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/0123/triggers/manual/paths/invoke?api-version=2016-06-01&sig=SECRET"
)
TEAMS_NEW = (
    "https://default0123.09.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/01/triggers/manual"
    "/paths/invoke?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=SECRET"
)
DISCORD = "https://discord.com/api/webhooks/123456789012345678/SECRET_abcdefghijklmnopqrstuvwxyz-0123456789"
TELEGRAM_TOKEN = "123456789:SECRETabcdefghijklmnopqrstuvwxyz_-"
NTFY_TOKEN = "tk_SECRET7890123456789012345678x"
NTFY = {"topic": "ops-SECRET-topic"}


@pytest.mark.parametrize(
    ("kind", "config", "summary"),
    [
        ("slack", {"url": SLACK}, "Slack webhook T0123ABCD/B0456EFGH"),
        ("slack", {"url": SLACK.replace("slack.com", "slack-gov.com")}, "Slack webhook T0123ABCD/B0456EFGH"),
        ("slack", {"token": SLACK_TOKEN, "channel": "C0123456789"}, "Slack bot in C0123456789"),
        ("slack", {"token": SLACK_TOKEN, "channel": "#on-call"}, "Slack bot in #on-call"),
        ("slack", {"token": SLACK_TOKEN, "channel": "#x", "api": "https://slack-gov.com/"}, "Slack bot in #x"),
        ("teams", {"url": TEAMS}, "https://prod-01.westeurope.logic.azure.com:443/…"),
        ("teams", {"url": TEAMS_NEW}, "https://default0123.09.environment.api.powerplatform.com:443/…"),
        ("discord", {"url": DISCORD}, "Discord webhook 123456789012345678"),
        ("discord", {"url": DISCORD.replace("/api/", "/api/v10/")}, "Discord webhook 123456789012345678"),
        ("discord", {"url": DISCORD + "?thread_id=123456789012345678"}, "Discord webhook 123456789012345678"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "-1001234567890"}, "Telegram bot 123456789, chat -1001234567890"),
        (
            "telegram",
            {"token": TELEGRAM_TOKEN, "chat_id": "@on_call", "thread_id": "7"},
            "Telegram bot 123456789, chat @on_call, topic 7",
        ),
        ("ntfy", NTFY, "https://ntfy.sh/…"),
        ("ntfy", {**NTFY, "server": "https://ntfy.example.com/", "token": NTFY_TOKEN}, "https://ntfy.example.com/…"),
        ("ntfy", {**NTFY, "priority": "urgent", "other_priority": "min"}, "https://ntfy.sh/…"),
        ("ntfy", {**NTFY, "server": "http://ntfy.example.com:8080"}, "http://ntfy.example.com:8080/…"),
    ],
)
def test_the_forms_of_the_services(kind: str, config: dict[str, Any], summary: str) -> None:
    parsed = registry.parse_config(kind, config)
    assert parsed.summary() == summary
    assert "SECRET" not in summary
    assert registry.load_config(kind, msgspec.to_builtins(parsed)) == parsed
    assert config.items() <= msgspec.to_builtins(parsed).items()


@pytest.mark.parametrize(
    ("kind", "config", "field", "code"),
    [
        ("slack", {}, "url", "required"),
        ("slack", {"url": "https://hooks.slack.com/"}, "url", "invalid"),
        ("slack", {"url": "https://hooks.slack.com/triggers/T0/1/x"}, "url", "invalid"),
        ("slack", {"url": SLACK + "/more"}, "url", "invalid"),
        ("slack", {"url": SLACK.replace("https", "http")}, "url", "wrong_host"),
        ("slack", {"url": SLACK.replace(".com/", ".com.evil.example/")}, "url", "wrong_host"),
        ("slack", {"url": SLACK.replace(".com/", ".com:8443/")}, "url", "wrong_host"),
        ("slack", {"url": "https://me:pw@hooks.slack.com/services/T0/B0/x"}, "url", "userinfo"),
        ("slack", {"url": SLACK, "token": SLACK_TOKEN}, "token", "contradiction"),
        ("slack", {"url": SLACK, "channel": "#x"}, "channel", "contradiction"),
        ("slack", {"token": "xoxp-1234567890-1234567890", "channel": "#x"}, "token", "invalid"),
        ("slack", {"token": SLACK_TOKEN + "\r\nX: y", "channel": "#x"}, "token", "invalid"),
        ("slack", {"token": "xoxe." + SLACK_TOKEN, "channel": "#x"}, "token", "invalid"),
        ("slack", {"token": SLACK_TOKEN}, "channel", "required"),
        ("slack", {"token": SLACK_TOKEN, "channel": "on call"}, "channel", "invalid"),
        ("slack", {"token": SLACK_TOKEN, "channel": "#x", "api": "https://api.evil.example"}, "api", "wrong_host"),
        ("slack", {"token": SLACK_TOKEN, "channel": "#x", "api": "https://slack.com/?x="}, "api", "invalid"),
        ("teams", {}, "url", "required"),
        ("teams", {"url": TEAMS.replace("&sig=SECRET", "")}, "url", "invalid"),
        ("teams", {"url": TEAMS.replace("/workflows/", "/flows/")}, "url", "invalid"),
        ("teams", {"url": TEAMS.replace("azure.com", "azure.com.evil.example")}, "url", "wrong_host"),
        ("teams", {"url": "https://example.webhook.office.com/webhookb2/x"}, "url", "wrong_host"),
        ("discord", {"url": "https://discord.com/channels/1/2"}, "url", "invalid"),
        ("discord", {"url": DISCORD + "/slack"}, "url", "invalid"),
        ("discord", {"url": DISCORD + "?wait=false"}, "url", "invalid"),
        ("discord", {"url": DISCORD + "?thread_id=x"}, "url", "invalid"),
        ("discord", {"url": DISCORD.replace("discord.com", "xdiscord.com")}, "url", "wrong_host"),
        ("discord", {"url": "https://[discord.com/api/webhooks/1/2"}, "url", "invalid"),
        ("telegram", {"token": TELEGRAM_TOKEN}, "chat_id", "required"),
        ("telegram", {"token": "bot" + TELEGRAM_TOKEN, "chat_id": "1"}, "token", "invalid"),
        ("telegram", {"token": TELEGRAM_TOKEN + "/../x", "chat_id": "1"}, "token", "invalid"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "on_call"}, "chat_id", "invalid"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "0"}, "chat_id", "invalid"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "1", "thread_id": "-1"}, "thread_id", "invalid"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "1", "api": "http://127.0.0.1:8081"}, "api", "refused_address"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "1", "api": "https://tg.example.com"}, "api", "wrong_host"),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "1", "api": "https://api.telegram.org/#"}, "api", "invalid"),
        ("ntfy", {}, "topic", "required"),
        ("ntfy", {"topic": "a/b"}, "topic", "invalid"),
        ("ntfy", {"topic": "a" * 65}, "topic", "invalid"),
        ("ntfy", {**NTFY, "server": "https://ntfy.sh/topic"}, "server", "invalid"),
        ("ntfy", {**NTFY, "server": "https://ntfy.sh/?auth=x"}, "server", "invalid"),
        ("ntfy", {**NTFY, "server": "ntfy.sh"}, "server", "invalid"),
        ("ntfy", {**NTFY, "server": "http://10.0.0.1"}, "server", "refused_address"),
        ("ntfy", {**NTFY, "server": "http://ntfy.example.com", "token": NTFY_TOKEN}, "server", "scheme"),
        ("ntfy", {**NTFY, "token": "secret"}, "token", "invalid"),
        ("ntfy", {**NTFY, "priority": "6"}, "priority", "invalid_choice"),
        ("ntfy", {**NTFY, "other_priority": "loud"}, "other_priority", "invalid_choice"),
    ],
)
def test_a_bad_configuration_names_its_field(kind: str, config: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(BadConfig) as raised:
        registry.parse_config(kind, config)
    assert (raised.value.field, raised.value.code) == (field, code)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("slack", {"url": "http://127.0.0.1:8065/hooks/abc"}),
        ("slack", {"token": SLACK_TOKEN, "channel": "#x", "api": "http://127.0.0.1:1"}),
        ("teams", {"url": "http://gateway.internal/teams"}),
        ("discord", {"url": "http://127.0.0.1:1/webhook"}),
        ("telegram", {"token": TELEGRAM_TOKEN, "chat_id": "1", "api": "http://127.0.0.1:8081"}),
        ("ntfy", {**NTFY, "server": "http://10.0.0.1", "token": NTFY_TOKEN}),
    ],
)
def test_where_private_targets_are_allowed_other_servers_may_speak_for_the_service(kind: str, config: dict[str, Any]) -> None:
    assert registry.parse_config(kind, config, private_targets=True).summary()
    with pytest.raises(BadConfig):
        registry.parse_config(kind, config)


def test_the_older_name_of_discord_is_kept_as_the_present_one() -> None:
    parsed = registry.parse_config("discord", {"url": DISCORD.replace("discord.com", "discordapp.com")})
    assert msgspec.to_builtins(parsed) == {"url": DISCORD}


def test_the_services_own_urls_keep_their_form_there_too() -> None:
    for url in (SLACK.replace("https", "http"), "https://hooks.slack.com/"):
        with pytest.raises(BadConfig):
            registry.parse_config("slack", {"url": url}, private_targets=True)
