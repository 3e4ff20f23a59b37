"""Who asks, and for which workspace: API keys and JSON web tokens."""

from dataclasses import dataclass
from typing import override
from uuid import UUID

import structlog
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotFound
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken

from core.api.accounts import selectors, services
from core.api.accounts.models import ApiKey, Role, User, Workspace
from core.metrics import API_AUTH_ATTEMPTS

CHALLENGE = 'Bearer realm="api"'


@dataclass(frozen=True, slots=True)
class Access:
    """The caller's rights. Either a person asks (`user`) or a program with a key (`key`), always for one workspace."""

    workspace: Workspace
    role: Role
    user: User | None = None
    key: ApiKey | None = None

    @property
    def name(self) -> str:
        """Who that is, for people."""
        if self.user:
            return self.user.name or self.user.email
        return f"API key “{self.key.name}”" if self.key else "somebody"


def access_of(request: Request) -> Access:
    """The rights of a caller who has passed the permissions of a view."""
    access = request.auth
    if not isinstance(access, Access):
        raise TypeError("this view lets anonymous callers in")
    return access


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer upt_…` or `X-Api-Key: upt_…`."""

    @override
    def authenticate(self, request: Request) -> tuple[None, Access] | None:
        secret = request.headers.get("X-Api-Key") or _bearer(request)
        if secret is None or not ("X-Api-Key" in request.headers or secret.startswith(services.KEY_PREFIX)):
            return None
        key = selectors.api_key_of(secret=secret)
        if key is None:
            raise _refused("This API key is not valid.")
        services.api_key_touch(key=key)
        structlog.contextvars.bind_contextvars(user_id=f"key:{key.id}")
        API_AUTH_ATTEMPTS.labels("success").inc()
        return None, Access(workspace=key.workspace, role=Role(key.role), key=key)

    @override
    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; the header `Workspace-Id` chooses among several workspaces."""

    @override
    def authenticate(self, request: Request) -> tuple[User, Access] | None:
        token = _bearer(request)
        if token is None:
            return None
        user_id = _user_id(token)
        wanted = _workspace_id(request)
        membership = selectors.membership_of(user_id=user_id, workspace_id=wanted)
        if membership is None and wanted is not None and selectors.user_is_active(user_id=user_id):
            raise NotFound("There is no such workspace, or you are not a member of it.")
        if membership is None:
            raise _refused("This account is not active.")
        structlog.contextvars.bind_contextvars(user_id=str(user_id))
        API_AUTH_ATTEMPTS.labels("success").inc()
        access = Access(workspace=membership.workspace, role=Role(membership.role), user=membership.user)
        return membership.user, access

    @override
    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def _bearer(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return credentials.strip()


def _user_id(token: str) -> UUID:
    try:
        return UUID(str(AccessToken(token)["sub"]))  # type: ignore[arg-type]  # simplejwt annotates its own class where it takes text
    except (TokenError, KeyError, ValueError):
        raise _refused("This token is not valid or has expired.") from None


def _workspace_id(request: Request) -> UUID | None:
    raw = request.headers.get("Workspace-Id")
    if raw is None:
        return None
    try:
        return UUID(raw)
    except ValueError:
        raise NotFound("Workspace-Id is not the id of a workspace.") from None


def _refused(message: str) -> AuthenticationFailed:
    API_AUTH_ATTEMPTS.labels("failure").inc()
    return AuthenticationFailed(message)
