"""Slack, by incoming webhook or as a bot.

Errors of webhooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors and
https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks; of bots, which answer 200 with `ok: false`:
https://docs.slack.dev/reference/methods/chat.postMessage#errors; limits: https://docs.slack.dev/apis/web-api/rate-limits.
"""

import time
from http import HTTPStatus
from typing import Any, Final

import msgspec

from core.contracts.channels.slack import SLACK_API, SlackConfig
from lambdas.alert_dispatch.answers import json_fields, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from lambdas.alert_dispatch.message_slack import slack_message
from lambdas.alert_dispatch.posting import LEAST_S, Answer, Poster, judge, seconds_of, taken

WEBHOOK_GONE: Final = frozenset(
    {
        "channel_is_archived",
        "channel_not_found",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "team_disabled",
        "user_not_found",
    }
)
"""What a webhook says when no other message can arrive either."""

BOT_GONE: Final = frozenset(
    {
        "account_inactive",
        "channel_not_found",
        "invalid_auth",
        "is_archived",
        "not_authed",
        "not_in_channel",
        "token_expired",
        "token_revoked",
    }
)
"""The same of bots: the token or the channel is gone, or somebody has put the bot out of the channel."""

REFUSED: Final = frozenset(
    {
        "as_user_not_supported",
        "ekm_access_denied",
        "invalid_arguments",
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "missing_scope",
        "msg_too_long",
        "no_permission",
        "no_text",
        "not_allowed_token_type",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "team_access_not_granted",
        "too_many_attachments",
    }
)
"""What refuses the message, or a rule that somebody may lift. An error that is in none of these is tried again."""

NOT_REPLACED: Final = frozenset({"cant_update_message", "channel_not_found", "edit_window_closed", "message_not_found"})
"""What `chat.update` says of a message that is gone or not to be changed (https://docs.slack.dev/reference/methods/chat.update#errors)."""

ID_SEPARATOR: Final = "/"

TOO_FAST: Final = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})


class SlackSender:
    """Posts to Slack."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: SlackConfig) -> str | None:
        """Send; see `Sender`. The id is that of the channel and the message's time in it. A webhook cannot replace messages."""
        content = slack_message(outgoing.message, outgoing.look_of)
        if config.url:
            self._by_webhook(content, config, outgoing.timeout_s)
            return None
        deadline = time.monotonic() + outgoing.timeout_s
        if outgoing.replaces:
            channel, _, at = outgoing.replaces.partition(ID_SEPARATOR)
            answer, said = self._as_bot("chat.update", {"channel": channel, "ts": at, **content}, config, outgoing.timeout_s)
            if said.get("error") not in NOT_REPLACED:
                return self._judged(answer, said)
        left_s = max(deadline - time.monotonic(), LEAST_S)
        answer, said = self._as_bot("chat.postMessage", {"channel": config.channel, **content}, config, left_s)
        return self._judged(answer, said)

    def _by_webhook(self, content: dict[str, Any], config: SlackConfig, timeout_s: float) -> None:
        answer = self._poster.send(config.url, msgspec.json.encode(content), {}, timeout_s, read_errors=True)
        reason = words(answer.body.decode("utf-8", "replace"))
        judge(answer, self._poster.clock(), "Slack", reason=reason, gone=reason in WEBHOOK_GONE)

    def _as_bot(
        self, method: str, content: dict[str, Any], config: SlackConfig, timeout_s: float
    ) -> tuple[Answer, dict[str, Any]]:
        url = f"{(config.api or SLACK_API).rstrip('/')}/api/{method}"
        headers = {"content-type": "application/json; charset=utf-8", "authorization": f"Bearer {config.token}"}
        answer = self._poster.send(url, msgspec.json.encode(content), headers, timeout_s, read_body=True)
        return answer, json_fields(answer.body)

    def _judged(self, answer: Answer, said: dict[str, Any]) -> str | None:
        """The id of the message, if it was taken."""
        if taken(answer.status) and said.get("ok") is True:
            channel, at = words(said.get("channel")), words(said.get("ts"))
            return f"{channel}{ID_SEPARATOR}{at}" if channel and at else None
        error = words(said.get("error"))
        text = f"Slack answered {answer.status}" + (f" ({error})" if error else "")
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or error in TOO_FAST:
            raise RateLimited(text, retry_after_s=seconds_of(answer.retry_after, self._poster.clock()))
        if error in BOT_GONE:
            raise Permanent(text, disable_channel=True)
        if error in REFUSED:
            raise Permanent(text)
        if not taken(answer.status):
            judge(answer, self._poster.clock(), "Slack", reason=error)
        raise Transient(text if error else f"{text} without saying whether it took the message", in_doubt=not error)
