"""Requests and answers about accounts."""

from typing import Any, ClassVar

from rest_framework import serializers

from core.api.accounts.models import ApiKey, Role, User
from core.api.answers import Answer
from core.api.fields import Email, Strict, Text

KEY_ROLES = [(Role.EDITOR.value, Role.EDITOR.label), (Role.VIEWER.value, Role.VIEWER.label)]


class RegisterRequest(Strict):
    """A new account. The password needs 10 characters and must not be a common one."""

    email = Email(max_length=254)
    password = Text(max_length=256, trim_whitespace=False, write_only=True)
    name = Text(max_length=100, required=False, default="", allow_blank=True)


class LoginRequest(Strict):
    """Credentials of a person."""

    email = Email(max_length=254)
    password = Text(max_length=256, trim_whitespace=False, write_only=True)


class RefreshRequest(Strict):
    """A refresh token from logging in."""

    refresh = Text(max_length=4096)


class AccessAnswer(Answer[Any]):
    """A token for `Authorization: Bearer`, good for 15 minutes."""

    access = serializers.CharField()


class TokensAnswer(AccessAnswer):
    """Tokens of a person; `refresh` is good for 14 days."""

    refresh = serializers.CharField()


class UserAnswer(serializers.ModelSerializer[User]):
    """A person."""

    class Meta:
        model = User
        fields = ("id", "email", "name", "created_at")


class WorkspaceAnswer(Answer[Any]):
    """A workspace, and the caller's role in it."""

    id = serializers.UUIDField(source="workspace.id")
    name = serializers.CharField(source="workspace.name")
    role = serializers.ChoiceField(choices=Role.choices)


class MeAnswer(serializers.Serializer[Any]):
    """The caller. `user` is null for an API key; `workspace` is the one that this request is about."""

    user = UserAnswer(allow_null=True)
    workspace = WorkspaceAnswer()
    workspaces = WorkspaceAnswer(many=True)


class ApiKeyRequest(Strict):
    """A new key: an `editor` changes monitors and channels, a `viewer` looks."""

    name = Text(max_length=100)
    role = serializers.ChoiceField(choices=KEY_ROLES, required=False, default=Role.EDITOR)


class ApiKeyAnswer(serializers.ModelSerializer[ApiKey]):
    """A key, without its secret; `prefix` helps to recognise it."""

    class Meta:
        model = ApiKey
        fields = ("id", "name", "prefix", "role", "created_at", "last_used_at")
        extra_kwargs: ClassVar = {"last_used_at": {"allow_null": True}}


class NewApiKeyAnswer(ApiKeyAnswer):
    """A key with its secret, shown this once."""

    key = serializers.CharField(help_text="Send it as `Authorization: Bearer` or `X-Api-Key`.")

    class Meta(ApiKeyAnswer.Meta):
        fields = (*ApiKeyAnswer.Meta.fields, "key")  # type: ignore[assignment]  # one name longer
