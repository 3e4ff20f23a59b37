"""Discord, by webhook.

`wait=true` makes it answer when the message is stored, and with an error when it was not
(https://docs.discord.com/developers/resources/webhook#execute-webhook). Errors have a code
(https://docs.discord.com/developers/topics/opcodes-and-status-codes#json), a 429 its `retry_after` with fractions of a second
(https://docs.discord.com/developers/topics/rate-limits).
"""

import time
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from core.contracts.channels.discord import DiscordConfig
from lambdas.alert_dispatch.answers import json_fields, whole_seconds, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Transient
from lambdas.alert_dispatch.message_discord import discord_message
from lambdas.alert_dispatch.posting import LEAST_S, Answer, Poster, judge

GONE: Final = frozenset({10003, 10015, 50027})
"""Unknown channel (or thread), unknown webhook, invalid webhook token."""

UNKNOWN_MESSAGE: Final = 10008
"""Somebody deleted it."""


class DiscordSender:
    """Posts to webhooks of Discord."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: DiscordConfig) -> str | None:
        """Send; see `Sender`."""
        content = discord_message(outgoing.message, outgoing.look_of)
        deadline = time.monotonic() + outgoing.timeout_s
        if outgoing.replaces:
            answer, said = self._send(
                editing(config.url, outgoing.replaces), content, outgoing, outgoing.timeout_s, method="PATCH"
            )
            if said.get("code") != UNKNOWN_MESSAGE:
                return self._judged(answer, said)
        return self._judged(*self._send(waiting(config.url), content, outgoing, max(deadline - time.monotonic(), LEAST_S)))

    def _send(
        self, url: str, content: dict[str, Any], outgoing: Outgoing, timeout_s: float, *, method: str = "POST"
    ) -> tuple[Answer, dict[str, Any]]:
        """The body of an answer is read for the id of the message where that is needed, else where it is an error."""
        body, grouped = msgspec.json.encode(content), outgoing.request.data.group is not None
        answer = self._poster.send(url, body, {}, timeout_s, method=method, read_body=grouped, read_errors=not grouped)
        return answer, json_fields(answer.body)

    def _judged(self, answer: Answer, said: dict[str, Any]) -> str | None:
        if answer.status == HTTPStatus.FORBIDDEN and "code" not in said:
            raise Transient("Discord's gateway answered 403: it refuses our address for now")
        wait = whole_seconds(said.get("retry_after")) or answer.retry_after
        gone = said.get("code") in GONE
        now = self._poster.clock()
        judge(replace(answer, retry_after=wait), now, "Discord", reason=words(said.get("message")), gone=gone)
        return words(said.get("id")) or None


def waiting(url: str) -> str:
    """The webhook's URL with `wait=true`."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))


def editing(url: str, message_id: str) -> str:
    """The URL of one of the webhook's messages; a thread of the webhook's URL stays."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name == "thread_id"]
    path = f"{parts.path.rstrip('/')}/messages/{quote(message_id, safe='')}"
    return urlunsplit(parts._replace(path=path, query=urlencode(query)))
