"""Writes about channels; each is one transaction.

A version of a configuration is in the vault at the edge before anything that is committed refers to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction

from core.api import edge, problem_types
from core.api.accounts.models import Workspace
from core.api.channels.models import Channel
from core.api.incidents.models import Alert
from core.api.problems import FieldError, Problem
from core.api.throttling import hold_back
from core.contracts.channel_links import is_code
from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.registry import load_config, parse_config
from core.contracts.channels.webhook import WebhookConfig, new_webhook_secret
from core.contracts.events import AlertType
from core.domain.alert_facts import AlertFacts
from core.domain.delivery import disabled_text
from core.domain.mail_feedback import UNSUBSCRIBED, recipient_left

ASK_AGAIN = timedelta(minutes=1)
HOUR_S = 3600
MOST_ATTEMPTS = 10
TEST_TEXT = "This is a test of the channel “{name}”. If you can read it, alerts will reach you here."


@dataclass(frozen=True, slots=True)
class NewChannel:
    """A channel, and its signing secret where one was made for it: shown once."""

    channel: Channel
    secret: str | None


def channel_create(*, workspace: Workspace, name: str, kind: str, config: Mapping[str, Any], now: datetime) -> NewChannel:
    """A channel that every alert of the workspace goes to; where it is a person's, once somebody there has agreed.

    Raises:
        FieldError: the configuration does not fit the kind.
        Problem: the edge cannot be reached; nothing was created.
    """
    parsed = _parse(kind, config)
    with transaction.atomic():
        channel = Channel(workspace=workspace, name=name, kind=kind, config_version=1)
        _seal(channel, parsed)
        _have_verified(channel, parsed, now)
        channel.save(force_insert=True)
        question = _question(channel, now)
        _project(channel)
    _kick(question)
    return NewChannel(channel, _made_secret(parsed, config))


def channel_update(*, channel_id: UUID, changes: Mapping[str, Any], now: datetime) -> NewChannel:
    """Change a channel. `config` replaces the whole configuration; a new one enables a channel that was disabled for its old one.

    A person who had left is asked anew before anything is sent there.

    Raises:
        FieldError: the configuration does not fit the kind.
        Problem: the edge cannot be reached; nothing was changed.
    """
    secret, question = None, None
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        channel.name = changes.get("name", channel.name)
        had_left = recipient_left(channel.disabled_reason)
        _enable(channel, changes, now)
        ask = had_left and channel.disabled_at is None
        if "config" in changes:
            parsed = _parse(channel.kind, changes["config"])
            secret = _made_secret(parsed, changes["config"])
            question = _configure(channel, parsed, now, ask=ask)
        elif ask:
            question = _configure(channel, _stored(channel), now, ask=True)
        channel.save()
    _kick(question)
    return NewChannel(channel, secret)


def channel_rotate_secret(*, channel_id: UUID) -> NewChannel:
    """Give a webhook a new signing secret; until `channel_forget_secret` the one before it signs as well.

    Raises:
        Problem: the channel signs nothing, or the edge cannot be reached; nothing was changed.
    """
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        config = _signing(channel).rotated(new_webhook_secret())
        _replace(channel, config)
    return NewChannel(channel, config.secret)


def channel_forget_secret(*, channel_id: UUID) -> None:
    """End a rotation: only the newest secret signs from now on.

    Raises:
        Problem: as above.
    """
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        config = _signing(channel)
        if config.previous_secret:
            _replace(channel, msgspec.structs.replace(config, previous_secret=""))


def channel_delete(*, channel_id: UUID) -> None:
    """Delete a channel with its deliveries here, then its versions at the edge, which nothing refers to any more."""
    with transaction.atomic():
        # The lock makes a router that is adding a delivery wait, and then fail: none can appear below a channel that goes.
        Channel.objects.select_for_update().get(pk=channel_id).delete()
    with edge.best_effort("channel.left_at_edge", channel_id=str(channel_id)):
        edge.channel_vault().remove(channel_id)


def channel_ask(*, channel_id: UUID, now: datetime) -> Alert:
    """Ask the person at the address once more.

    Raises:
        Problem: there is nothing to ask, or it was asked a moment ago.
    """
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        if channel.unverified_since is None:
            raise Problem(problem_types.CONFLICT, "This channel needs no verification.")
        if now - channel.unverified_since < ASK_AGAIN:
            raise Problem(problem_types.CONFLICT, "It was sent less than a minute ago.")
        channel.unverified_since = now
        channel.save()
        question = _question(channel, now)
    _kick(question)
    assert question is not None, "an unverified channel has a question"
    return question


def channel_verify(*, channel_id: UUID, code: str) -> Channel:
    """Let alerts go to an address from which somebody has answered.

    Raises:
        FieldError: another code.
        Problem: too many other codes; a new configuration has a new one.
    """
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        if channel.unverified_since is None:
            return channel
        if channel.verification_attempts >= MOST_ATTEMPTS:
            raise Problem(problem_types.CONFLICT, "Too many wrong codes. Enter the configuration again to get another code.")
        right = is_code(edge.vault_cipher(), channel.id, channel.config_version, code)
        channel.verification_attempts += 1
        channel.unverified_since = None if right else channel.unverified_since
        channel.save()
    if not right:
        raise FieldError("code", "invalid", "is not the code that was sent")
    return channel


def channel_verified(*, channel_id: UUID, config_version: int) -> None:
    """Somebody has followed the link that was sent to this version's address."""
    Channel.objects.filter(pk=channel_id, config_version=config_version).update(unverified_since=None)


def channel_unsubscribe(*, channel_id: UUID, config_version: int, now: datetime) -> bool:
    """The recipient wants no more mail: disable the channel, and tell the others. False where no mail goes there any more anyway."""
    with transaction.atomic():
        channel = Channel.objects.select_for_update().filter(pk=channel_id, config_version=config_version).first()
        if channel is None or channel.disabled_at is not None:
            return False
        channel.disabled_at, channel.disabled_reason = now, UNSUBSCRIBED
        channel.save()
        facts = AlertFacts(text=disabled_text(channel.name, channel.kind, UNSUBSCRIBED))
        alert = _alert(channel.workspace_id, "channel_disabled", facts, now)
        alert.save(force_insert=True)
    edge.task_queue().kick_alerts([alert.id])
    return True


def channel_test(*, channel: Channel, now: datetime) -> Alert:
    """Send a test message on the way that every alert takes.

    Raises:
        Problem: the channel is disabled.
    """
    if channel.disabled_at is not None:
        raise Problem(problem_types.CONFLICT, "This channel is disabled; enable it to test it.")
    if channel.unverified_since is not None:
        raise Problem(problem_types.CONFLICT, "Nobody has answered from this address yet: verify it to test it.")
    facts = AlertFacts(text=TEST_TEXT.format(name=channel.name))
    alert = _alert(channel.workspace_id, "test", facts, now)
    alert.only_channel = channel
    alert.save(force_insert=True)
    edge.task_queue().kick_alerts([alert.id])
    return alert


def _configure(channel: Channel, parsed: ChannelConfig, now: datetime, *, ask: bool) -> Alert | None:
    """Replace a configuration; the question to the person at its address, where there is one to ask. `ask`: also if they agreed before.

    What is entered once more as it is stays the version that it is, so the links in mail that was sent go on to end it. Where somebody has
    to answer, it is a new version all the same: that has another code.
    """
    known = _stored(channel)
    ask = ask or channel.unverified_since is not None
    if parsed == known and not ask:
        return None
    question = None
    channel.config_version += 1
    _seal(channel, parsed)
    if parsed.person() != known.person() or ask:
        _have_verified(channel, parsed, now)
        question = _question(channel, now)
    _project(channel)
    return question


def _have_verified(channel: Channel, parsed: ChannelConfig, now: datetime) -> None:
    """A channel of a person's address waits for an answer, the caller's own included: whoever registers may type in anybody's."""
    channel.unverified_since = now if settings.VERIFY_ADDRESSES and parsed.person() else None
    channel.verification_attempts = 0


def _question(channel: Channel, now: datetime) -> Alert | None:
    """The alert that asks, stored; None where nobody needs to be asked. Link and code are put in where it is sent.

    Raises:
        Throttled: the workspace has asked too many people within the hour. They never asked for it, so nobody may use us to pester them.
    """
    if channel.unverified_since is None:
        return None
    hold_back("question", str(channel.workspace_id), settings.QUESTIONS_PER_HOUR, HOUR_S)
    question = _alert(channel.workspace_id, "verification", AlertFacts(), now)
    question.only_channel = channel
    question.save(force_insert=True)
    return question


def _kick(alert: Alert | None) -> None:
    if alert:
        edge.task_queue().kick_alerts([alert.id])


def _alert(workspace_id: UUID, alert_type: AlertType, facts: AlertFacts, now: datetime) -> Alert:
    """An alert about no monitor, not stored yet."""
    alert = Alert(workspace_id=workspace_id, alert_type=alert_type, sequence=1, facts=msgspec.to_builtins(facts), created_at=now)
    alert.order_key = alert.id
    return alert


def _parse(kind: str, config: Mapping[str, Any]) -> ChannelConfig:
    if kind == "sms" and not settings.SMS_CHANNELS:
        raise FieldError("kind", "not_available", "SMS is not set up here: its operator would pay for each")
    try:
        return parse_config(kind, config, private_targets=settings.PRIVATE_TARGETS)
    except BadConfig as bad:
        field = "kind" if bad.field == "kind" else f"config.{bad.field}" if bad.field else "config"
        raise FieldError(field, bad.code, bad.message) from bad


def _stored(channel: Channel) -> ChannelConfig:
    return load_config(channel.kind, edge.vault_cipher().open(channel.config_ciphertext))


def _signing(channel: Channel) -> WebhookConfig:
    config = _stored(channel)
    if not isinstance(config, WebhookConfig):
        raise Problem(problem_types.CONFLICT, "Only webhooks are signed.")
    return config


def _replace(channel: Channel, config: ChannelConfig) -> None:
    """A new version of a locked channel's configuration, at the edge first."""
    channel.config_version += 1
    _seal(channel, config)
    _project(channel)
    channel.save()


def _made_secret(parsed: ChannelConfig, given: Mapping[str, Any]) -> str | None:
    secret = getattr(parsed, "secret", None)
    return secret if secret and not given.get("secret") else None


def _seal(channel: Channel, parsed: ChannelConfig) -> None:
    channel.config_ciphertext = edge.vault_cipher().seal(msgspec.to_builtins(parsed))
    channel.summary = parsed.summary()


def _project(channel: Channel) -> None:
    with edge.required():
        edge.channel_vault().project(
            channel.id, channel.config_version, channel.kind, channel.workspace_id, channel.config_ciphertext
        )


def _enable(channel: Channel, changes: Mapping[str, Any], now: datetime) -> None:
    enabled = changes.get("enabled", True if "config" in changes else None)
    if enabled is True:
        channel.disabled_at, channel.disabled_reason = None, ""
    elif enabled is False and channel.disabled_at is None:
        channel.disabled_at, channel.disabled_reason = now, "disabled by hand"
