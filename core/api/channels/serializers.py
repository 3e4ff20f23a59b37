"""Requests and answers about channels. A configuration goes in and never comes out; `summary` is its harmless part."""

from typing import Any, override

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.channels.models import Channel
from core.api.fields import Flag, Strict, Text
from core.contracts.channels.registry import KINDS

KIND_NAMES = sorted(KINDS)
VALUE_DEPTH = 10


@extend_schema_field({"description": "Text, a number, true or false, a list or an object, as the kind wants it."})
class ConfigValue(serializers.Field[Any, Any, Any, Any]):
    """One setting of a kind: JSON, all of whose texts can be stored. Each kind judges the form of its own settings."""

    @override
    def to_internal_value(self, data: Any) -> Any:
        return self._checked(data, VALUE_DEPTH)

    @override
    def to_representation(self, value: Any) -> Any:
        return value

    def _checked(self, data: Any, depth: int) -> Any:
        if not depth:
            raise serializers.ValidationError("is nested too deeply", "too_deep")
        if isinstance(data, str):
            return Text(max_length=4096, allow_blank=True, trim_whitespace=False).run_validation(data)
        if isinstance(data, list):
            return [self._checked(one, depth - 1) for one in data]
        if isinstance(data, dict):
            return {self._checked(str(name), depth - 1): self._checked(one, depth - 1) for name, one in data.items()}
        return data


class ConfigField(serializers.DictField):
    """Settings by kind, such as `{"address": …}` for email or `{"url": …}` for slack; the reference of channels lists them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=ConfigValue(), write_only=True, **kwargs)


class ChannelUpdate(Strict):
    """Changes of a channel. `config` replaces the whole configuration, and enables the channel."""

    name = Text(max_length=100)
    config = ConfigField(help_text=ConfigField.__doc__)
    enabled = Flag()


class ChannelRequest(Strict):
    """A new channel."""

    name = Text(max_length=100)
    kind = serializers.ChoiceField(choices=KIND_NAMES)
    config = ConfigField(help_text=ConfigField.__doc__)


class ChannelAnswer(Answer[Channel]):
    """A channel. `disabled_reason` says why nothing is sent to it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KIND_NAMES)
    summary = serializers.CharField()
    config_version = serializers.IntegerField()
    enabled = serializers.SerializerMethodField()
    verified = serializers.SerializerMethodField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_enabled(self, channel: Channel) -> bool:
        """Whether alerts are sent to it."""
        return channel.disabled_at is None

    def get_verified(self, channel: Channel) -> bool:
        """False while alerts wait for somebody at the address to agree."""
        return channel.unverified_since is None


class VerifyRequest(Strict):
    """The code that was sent to the channel."""

    code = Text(max_length=40)


class NewChannelAnswer(ChannelAnswer):
    """A channel whose configuration is new. `secret` is the signing secret where none was given, shown this once, else null."""

    secret = serializers.CharField(allow_null=True)


class TestAnswer(Answer[Any]):
    """The alert that the test message is; `/api/v1/deliveries/?alert=…` shows what becomes of it."""

    alert = serializers.UUIDField(source="id")
