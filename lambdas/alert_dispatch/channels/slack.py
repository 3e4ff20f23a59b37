"""Slack, by incoming webhook or as a bot.

Errors of webhooks: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors and
https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks; of bots, which answer 200 with `ok: false`:
https://docs.slack.dev/reference/methods/chat.postMessage#errors; limits: https://docs.slack.dev/apis/web-api/rate-limits.
"""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from core.contracts.channels.slack import SLACK_API, SlackConfig
from lambdas.alert_dispatch.answers import json_fields, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, RateLimited, Transient
from lambdas.alert_dispatch.message_slack import slack_message
from lambdas.alert_dispatch.posting import Answer, Poster, judge, seconds_of, taken

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

TOO_FAST: Final = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})


class SlackSender:
    """Posts to Slack."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: SlackConfig) -> None:
        """Send; see `Sender`."""
        content = slack_message(outgoing.message, outgoing.request.data.alert_type)
        if config.url:
            self._by_webhook(content, config, outgoing.timeout_s)
        else:
            self._as_bot(content, config, outgoing.timeout_s)

    def _by_webhook(self, content: dict[str, Any], config: SlackConfig, timeout_s: float) -> None:
        answer = self._poster.send(config.url, msgspec.json.encode(content), {}, timeout_s, read_errors=True)
        reason = words(answer.body.decode("utf-8", "replace"))
        judge(answer, self._poster.clock(), "Slack", reason=reason, gone=reason in WEBHOOK_GONE)

    def _as_bot(self, content: dict[str, Any], config: SlackConfig, timeout_s: float) -> None:
        url = f"{(config.api or SLACK_API).rstrip('/')}/api/chat.postMessage"
        headers = {"content-type": "application/json; charset=utf-8", "authorization": f"Bearer {config.token}"}
        body = msgspec.json.encode({"channel": config.channel, **content})
        answer = self._poster.send(url, body, headers, timeout_s, read_body=True)
        self._judge_bot(answer)

    def _judge_bot(self, answer: Answer) -> None:
        said = json_fields(answer.body)
        if taken(answer.status) and said.get("ok") is True:
            return
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
        raise Transient(text if error else f"{text} without saying whether it took the message")
