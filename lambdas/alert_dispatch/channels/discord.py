"""Discord, by webhook.

`wait=true` makes it answer when the message is stored, and with an error when it was not
(https://docs.discord.com/developers/resources/webhook#execute-webhook). Errors have a code
(https://docs.discord.com/developers/topics/opcodes-and-status-codes#json), a 429 its `retry_after` with fractions of a second
(https://docs.discord.com/developers/topics/rate-limits).
"""

from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from core.contracts.channels.discord import DiscordConfig
from lambdas.alert_dispatch.answers import json_fields, whole_seconds, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Transient
from lambdas.alert_dispatch.message_discord import discord_message
from lambdas.alert_dispatch.posting import Poster, judge

GONE: Final = frozenset({10003, 10015, 50027})
"""Unknown channel (or thread), unknown webhook, invalid webhook token."""


class DiscordSender:
    """Posts to webhooks of Discord."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: DiscordConfig) -> None:
        """Send; see `Sender`."""
        body = msgspec.json.encode(discord_message(outgoing.message, outgoing.request.data.alert_type))
        answer = self._poster.send(waiting(config.url), body, {}, outgoing.timeout_s, read_errors=True)
        said = json_fields(answer.body)
        if answer.status == HTTPStatus.FORBIDDEN and "code" not in said:
            raise Transient("Discord's gateway answered 403: it refuses our address for now")
        wait = whole_seconds(said.get("retry_after")) or answer.retry_after
        gone = said.get("code") in GONE
        now = self._poster.clock()
        judge(replace(answer, retry_after=wait), now, "Discord", reason=words(said.get("message")), gone=gone)


def waiting(url: str) -> str:
    """The webhook's URL with `wait=true`."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("wait", "true")])))
