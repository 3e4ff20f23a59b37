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
from lambdas.alert_dispatch.posting import LEAST_S, Answer, Poster, judge

SHUT_OUT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
NO_CHAT: Final = "chat not found"
SAME: Final = "message is not modified"
NOT_REPLACED: Final = ("message to edit not found", "message can't be edited", "chat not found", "upgraded to a supergroup")
"""What `editMessageText` says of a message that is gone or not to be changed; its descriptions have no codes."""

ID_SEPARATOR: Final = "/"


class TelegramSender:
    """Writes into chats."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: TelegramConfig) -> str | None:
        """Send; see `Sender`. A group that has become a supergroup has a new id, which the answer gives: it is written to at once."""
        deadline = time.monotonic() + outgoing.timeout_s
        if outgoing.replaces:
            answer, said = self._edit(outgoing, config)
            if SAME in (reason := words(said.get("description")).lower()):
                return outgoing.replaces
            if not any(gone in reason for gone in NOT_REPLACED):
                return self._judged(answer, said)
        answer, said = self._write(outgoing, config, config.chat_id, max(deadline - time.monotonic(), LEAST_S))
        moved = _parameters(said).get("migrate_to_chat_id")
        if isinstance(moved, int) and not isinstance(moved, bool):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise Transient("the chat has a new id, and there was no time left to write to it", timed_out=True)
            answer, said = self._write(outgoing, config, str(moved), left_s)
        return self._judged(answer, said)

    def _edit(self, outgoing: Outgoing, config: TelegramConfig) -> tuple[Answer, dict[str, Any]]:
        chat_id, _, message_id = outgoing.replaces.partition(ID_SEPARATOR)
        content = {"chat_id": chat_id, "message_id": int(message_id), **_text(outgoing)}
        return self._call("editMessageText", content, outgoing, config, outgoing.timeout_s)

    def _write(self, outgoing: Outgoing, config: TelegramConfig, chat_id: str, timeout_s: float) -> tuple[Answer, dict[str, Any]]:
        content: dict[str, Any] = {"chat_id": chat_id, **_text(outgoing)}
        if config.thread_id:
            content["message_thread_id"] = int(config.thread_id)
        return self._call("sendMessage", content, outgoing, config, timeout_s)

    def _call(
        self, method: str, content: dict[str, Any], outgoing: Outgoing, config: TelegramConfig, timeout_s: float
    ) -> tuple[Answer, dict[str, Any]]:
        """The body of an answer is read for the id of the message where that is needed, else where it is an error."""
        url = f"{(config.api or TELEGRAM_API).rstrip('/')}/bot{config.token}/{method}"
        body, grouped = msgspec.json.encode(content), outgoing.request.data.group is not None
        answer = self._poster.send(url, body, {}, timeout_s, read_body=grouped, read_errors=not grouped)
        return answer, json_fields(answer.body)

    def _judged(self, answer: Answer, said: dict[str, Any]) -> str | None:
        """The id of the chat and of the message in it, if it was taken and we asked."""
        reason = words(said.get("description"))
        gone = said.get("ok") is False and (answer.status in SHUT_OUT or NO_CHAT in reason.lower())
        wait = whole_seconds(_parameters(said).get("retry_after")) or answer.retry_after
        judge(replace(answer, retry_after=wait), self._poster.clock(), "Telegram", reason=reason, gone=gone)
        return _message_id(said.get("result"))


def _text(outgoing: Outgoing) -> dict[str, Any]:
    text = telegram_text(outgoing.message, outgoing.look_of)
    return {"text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}


def _message_id(result: object) -> str | None:
    chat = result.get("chat") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(chat, dict):
        return None
    ids = chat.get("id"), result.get("message_id")
    return ID_SEPARATOR.join(map(str, ids)) if all(type(one) is int for one in ids) else None


def _parameters(said: dict[str, Any]) -> dict[str, Any]:
    found = said.get("parameters")
    return found if isinstance(found, dict) else {}
