"""Messages for chat services: what others chose mentions nobody, makes no link and breaks no document; everything fits."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.channels.ntfy import NtfyConfig
from core.contracts.events import ALERT_TYPES
from lambdas.alert_dispatch.looks import EARLIER, LOOKS, look
from lambdas.alert_dispatch.message import Message, compose
from lambdas.alert_dispatch.message_brief import sms
from lambdas.alert_dispatch.message_discord import discord_message
from lambdas.alert_dispatch.message_ntfy import ntfy_message
from lambdas.alert_dispatch.message_slack import slack_message
from lambdas.alert_dispatch.message_teams import teams_message
from lambdas.alert_dispatch.message_telegram import telegram_text
from lambdas.alert_dispatch.outputs import last_lines
from tests import chat_rules
from tests.unit.test_message import request

URL = "https://up.example.com"
LINK = f"{URL}/api/v1/incidents/00000000-0000-0000-0000-000000000003/"
FRAGMENTS = [
    "@everyone",
    "@here",
    "<!channel>",
    "<@U012345>",
    "<@&123456789012345678>",
    "<#C01>",
    "<https://evil.example|bank>",
    "[bank](https://evil.example)",
    "https://evil.example",
    "evil.example",
    "@durov",
    "#tag",
    "/start",
    "<at>Everyone</at>",
    "<b>",
    "</code>",
    "<a href='https://evil.example'>x</a>",
    "&lt;",
    "<!--",
    "`",
    "```",
    "**",
    "__",
    "||",
    "~~",
    "> ",
    "\\",
    '"',
    "\r\nTitle: x",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "😀" * 50,
    "x" * 5000,
    '"' * 3000,
    "{{DATE(2017-02-14T06:00:00Z)}}",
    "${x}",
    ":smile:",
]
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=40), max_size=6).map("".join)
TYPES = st.sampled_from(ALERT_TYPES)
CONFIG = NtfyConfig(topic="ops")


def message(alert_type: str, name: str = "Shop", detail: str = "", text: str = "") -> Message:
    return compose(request(alert_type, name=name, detail=detail, text=text), URL)  # type: ignore[arg-type]  # drawn


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object within a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from dicts(member)


@given(TYPES, HOSTILE, HOSTILE, HOSTILE)
def test_slack_parses_nothing_that_others_chose(alert_type: str, name: str, detail: str, text: str) -> None:
    sent = slack_message(message(alert_type, name, detail, text), alert_type)
    assert chat_rules.slack(sent) == ""
    parsed = [found["text"] for found in dicts(sent) if found.get("type") == "mrkdwn"]
    assert set(parsed) <= {f"<{LINK}|Incident> · Uptime Monitor", "Uptime Monitor"}
    for said in [sent["text"], *(found["text"] for found in dicts(sent) if found.get("type") == "plain_text")]:
        assert not set("<>") & set(said)
        assert re.fullmatch(r"(?:[^&]|&amp;|&lt;|&gt;)*", said)


@given(TYPES, HOSTILE, HOSTILE, HOSTILE)
def test_discord_formats_nothing_that_others_chose(alert_type: str, name: str, detail: str, text: str) -> None:
    sent = discord_message(message(alert_type, name, detail, text), alert_type)
    assert chat_rules.discord(sent) == ""
    assert sent["allowed_mentions"] == {"parse": []}
    [embed] = sent["embeds"]
    assert embed.get("url", LINK) == LINK
    for said in (embed["title"], embed.get("description", ""), *(field["value"] for field in embed["fields"])):
        bare = re.sub(r"\\[^0-9A-Za-z\s]", "", said).removesuffix("-" if said == "-" else "")
        assert not set(bare) & set("*_~`|<>[]():@#/\\+-")


@given(TYPES, HOSTILE, HOSTILE, HOSTILE)
def test_telegram_finds_entities_in_nothing_that_others_chose(alert_type: str, name: str, detail: str, text: str) -> None:
    sent = telegram_text(message(alert_type, name, detail, text), alert_type)
    assert chat_rules.telegram({"chat_id": "1", "text": sent, "parse_mode": "HTML"}) == ""
    read = chat_rules.TelegramHtml(sent)
    assert set(read.links) <= {LINK}
    ours = {"What", "Why", "Since", "Until", "As", "of", "For", "Confirmed", "Handled", "Incident", look(alert_type).emoji}
    assert set(read.loose.split()) <= ours


@given(TYPES, HOSTILE, HOSTILE, HOSTILE)
def test_teams_formats_nothing_that_others_chose(alert_type: str, name: str, detail: str, text: str) -> None:
    sent = teams_message(message(alert_type, name, detail, text), alert_type)
    assert chat_rules.teams(sent, len(msgspec.json.encode(sent))) == ""
    for found in dicts(sent):
        if found.get("type") == "TextRun":
            assert found.keys() <= {"type", "text", "weight", "size", "isSubtle", "fontType"}
            assert found["text"].isprintable()
        elif found.get("type") == "Action.OpenUrl":
            assert (found["title"], found["url"]) == ("Incident", LINK)
        else:
            assert "text" not in found
            assert "entities" not in found


@given(TYPES, HOSTILE, HOSTILE, HOSTILE)
def test_ntfy_gets_plain_text(alert_type: str, name: str, detail: str, text: str) -> None:
    sent = ntfy_message(message(alert_type, name, detail, text), alert_type, CONFIG)
    assert chat_rules.ntfy(sent, len(msgspec.json.encode(sent))) == ""
    assert sent["title"].isprintable()
    assert all(line.isprintable() for line in sent["message"].split("\n"))
    assert sent.get("click", LINK) == LINK


@given(HOSTILE)
def test_discord_shows_what_was_written(name: str) -> None:
    shown = discord_message(message("down", name), "down")["embeds"][0]["title"]
    plain = re.sub(r"\\([^0-9A-Za-z\s])", r"\1", shown)
    whole = f"🔴 {message('down', name).subject}"
    assert plain == whole or (plain.endswith("…") and whole.startswith(plain[:-1]))


@pytest.mark.parametrize("filling", ["x", '"', "<", "*", "\u0800", "😀", "&"])
def test_the_longest_message_fits_everywhere(filling: str) -> None:
    """More of everything than any story tells, each piece of it endless."""
    endless = filling * 20_000
    told = Message(endless[:200], "", "", headline=endless, facts=((endless, endless),) * 30, closing=endless, link=LINK)
    by_slack, by_teams, by_ntfy = slack_message(told, "down"), teams_message(told, "down"), ntfy_message(told, "down", CONFIG)
    assert chat_rules.slack(by_slack) == ""
    assert chat_rules.teams(by_teams, len(msgspec.json.encode(by_teams))) == ""
    assert chat_rules.discord(discord_message(told, "down")) == ""
    assert chat_rules.telegram({"text": telegram_text(told, "down")}) == ""
    assert chat_rules.ntfy(by_ntfy, len(msgspec.json.encode(by_ntfy))) == ""


def test_every_type_has_its_look() -> None:
    assert set(LOOKS) == {*ALERT_TYPES, EARLIER}
    assert look("something_newer") == look("test")


ABOUT_OUTAGES = {"down", "escalated", "reminder", "acknowledged", "unacknowledged", "recovered"}


@pytest.mark.parametrize("alert_type", ALERT_TYPES)
def test_every_type_says_in_every_form_what_happened(alert_type: str) -> None:
    told = message(alert_type)
    forms = [
        msgspec.json.encode(slack_message(told, alert_type)).decode(),
        msgspec.json.encode(teams_message(told, alert_type)).decode(),
        re.sub(r"\\\\", "", msgspec.json.encode(discord_message(told, alert_type)).decode()),
        telegram_text(told, alert_type),
        msgspec.json.encode(ntfy_message(told, alert_type, CONFIG)).decode(),
    ]
    for form in forms:
        assert told.subject in form
        assert told.headline in form
        assert told.closing in form
        for label, value in told.facts:
            assert label in form
            assert value in form
        assert (LINK in form) == (alert_type in ABOUT_OUTAGES)


def test_the_link_that_acknowledges_is_in_every_form() -> None:
    link = f"{URL}/acknowledge/token/"
    told = compose(request("down"), URL, link)
    forms = [
        msgspec.json.encode(discord_message(told, "down")).decode(),
        msgspec.json.encode(slack_message(told, "down")).decode(),
        msgspec.json.encode(teams_message(told, "down")).decode(),
        msgspec.json.encode(ntfy_message(told, "down", CONFIG)).decode(),
        telegram_text(told, "down"),
        sms(told),
    ]
    assert [form for form in forms if link not in form] == []
    assert f"[Acknowledge]({link})" in forms[0]
    assert f"<{link}|Acknowledge>" in forms[1]


@given(HOSTILE)
def test_what_a_job_said_formats_nothing(said: str) -> None:
    told = compose(
        request("down", "heartbeat", reason="heartbeat_failed"), URL, output=last_lines(said.encode("utf-8", "replace"))
    )
    slack, discord, teams = slack_message(told, "down"), discord_message(told, "down"), teams_message(told, "down")
    telegram, ntfy = telegram_text(told, "down"), ntfy_message(told, "down", CONFIG)
    assert chat_rules.slack(slack) == ""
    assert chat_rules.discord(discord) == ""
    assert chat_rules.telegram({"chat_id": "1", "text": telegram, "parse_mode": "HTML"}) == ""
    assert chat_rules.ntfy(ntfy, len(msgspec.json.encode(ntfy))) == ""
    assert chat_rules.teams(teams, len(msgspec.json.encode(teams))) == ""
    lines = [found["text"] for found in dicts(teams) if found.get("fontType") == "Monospace"]
    assert len(lines) == (len(told.output.split("\n")[-20:]) if told.output else 0)
    assert {block["text"]["type"] for found in slack["attachments"] for block in found["blocks"] if "text" in block} == {
        "plain_text"
    }
    outputs = [field["value"] for field in discord["embeds"][0]["fields"] if field["name"] == "Output"]
    assert all(value.count("```") == 2 and value.endswith("\n```") and value.startswith("```\n") for value in outputs)
    assert bool(outputs) == bool(told.output) == ("It said at last:" in told.text)
    assert set(chat_rules.TelegramHtml(telegram).links) <= {LINK}


def test_without_a_public_url_there_is_no_link() -> None:
    told = compose(request("down"))
    assert told.link == ""
    assert "actions" not in teams_message(told, "down")["attachments"][0]["content"]
    assert "url" not in discord_message(told, "down")["embeds"][0]
    assert "<a " not in telegram_text(told, "down")
    assert "click" not in ntfy_message(told, "down", CONFIG)
    assert "Incident" not in msgspec.json.encode(slack_message(told, "down")).decode()


def test_only_outages_are_loud_at_ntfy() -> None:
    loud = NtfyConfig(topic="ops", priority="urgent", other_priority="low")
    assert {kind: ntfy_message(message(kind), kind, loud)["priority"] for kind in ("down", "recovered", "test")} == {
        "down": 5,
        "recovered": 2,
        "test": 2,
    }
