"""Reads about users, memberships and keys."""

import hashlib
from uuid import UUID

from django.db.models import QuerySet

from core.api.accounts.models import ApiKey, Membership, User, Workspace


def key_digest(secret: str) -> bytes:
    """What is stored of an API key."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def api_key_of(*, secret: str) -> ApiKey | None:
    """The key with this secret, with its workspace."""
    return ApiKey.objects.select_related("workspace").filter(digest=key_digest(secret)).first()


def membership_of(*, user_id: UUID, workspace_id: UUID | None) -> Membership | None:
    """The membership of an active user in a workspace; without one, in the first that the user joined."""
    memberships = Membership.objects.select_related("user", "workspace").filter(user_id=user_id, user__is_active=True)
    if workspace_id is not None:
        memberships = memberships.filter(workspace_id=workspace_id)
    return memberships.order_by("created_at", "id").first()


def user_is_active(*, user_id: UUID) -> bool:
    """Whether the user exists and may log in."""
    return User.objects.filter(id=user_id, is_active=True).exists()


def user_by_email(*, email: str) -> User | None:
    """The user with this address, active or not."""
    return User.objects.filter(email=email).first()


def membership_list(*, user: User) -> QuerySet[Membership]:
    """The workspaces of a user, in the order they were joined."""
    return Membership.objects.select_related("workspace").filter(user=user).order_by("created_at", "id")


def api_key_list(*, workspace: Workspace) -> QuerySet[ApiKey]:
    """The keys of a workspace."""
    return ApiKey.objects.filter(workspace=workspace)
