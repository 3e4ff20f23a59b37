"""Telegram, as a bot.

Answers are `{"ok": …, "description": …, "parameters": …}`: https://core.telegram.org/bots/api#making-requests and
https://core.telegram.org/bots/api#responseparameters. 401 and 404 say that there is no bot with this token, 403 that it was blocked or
put out of the chat. The URL holds the token, so it never gets into the text of an error.
"""

import time
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import msgspec

from core.contracts.channels.telegram import TELEGRAM_API, TelegramConfig
from lambdas.alert_dispatch.answers import json_fields, whole_seconds, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Transient
from lambdas.alert_dispatch.message_telegram import telegram_text
from lambdas.alert_dispatch.posting import Answer, Poster, judge

SHUT_OUT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
NO_CHAT: Final = "chat not found"


class TelegramSender:
    """Writes into chats."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: TelegramConfig) -> None:
        """Send; see `Sender`. A group that has become a supergroup has a new id, which the answer gives: it is written to at once."""
        deadline = time.monotonic() + outgoing.timeout_s
        answer, said = self._write(outgoing, config, config.chat_id, outgoing.timeout_s)
        moved = _parameters(said).get("migrate_to_chat_id")
        if isinstance(moved, int) and not isinstance(moved, bool):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Transient("the chat has a new id, and there was no time left to write to it", timed_out=True)
            answer, said = self._write(outgoing, config, str(moved), left_s)
        self._judge(answer, said)

    def _write(self, outgoing: Outgoing, config: TelegramConfig, chat_id: str, timeout_s: float) -> tuple[Answer, dict[str, Any]]:
        content: dict[str, Any] = {
            "chat_id": chat_id,
            "text": telegram_text(outgoing.message, outgoing.request.data.alert_type),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        if config.thread_id:
            content["message_thread_id"] = int(config.thread_id)
        url = f"{(config.api or TELEGRAM_API).rstrip('/')}/bot{config.token}/sendMessage"
        answer = self._poster.send(url, msgspec.json.encode(content), {}, timeout_s, read_errors=True)
        return answer, json_fields(answer.body)

    def _judge(self, answer: Answer, said: dict[str, Any]) -> None:
        reason = words(said.get("description"))
        gone = said.get("ok") is False and (answer.status in SHUT_OUT or NO_CHAT in reason.lower())
        wait = whole_seconds(_parameters(said).get("retry_after")) or answer.retry_after
        judge(replace(answer, retry_after=wait), self._poster.clock(), "Telegram", reason=reason, gone=gone)


def _parameters(said: dict[str, Any]) -> dict[str, Any]:
    found = said.get("parameters")
    return found if isinstance(found, dict) else {}
