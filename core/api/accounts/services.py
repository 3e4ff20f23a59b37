"""Writes about users, workspaces and keys; each is one transaction."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as PasswordRefused
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed, ErrorDetail, ValidationError
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from core.api.accounts import selectors
from core.api.accounts.models import ApiKey, Membership, Role, User, Workspace
from core.api.problems import FieldError
from core.metrics import API_AUTH_ATTEMPTS, USER_REGISTRATIONS

KEY_PREFIX = "upt_"
SHOWN_PREFIX = 12
TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Tokens:
    """JSON web tokens: `access` for requests (15 minutes), `refresh` for a new access token (14 days)."""

    access: str
    refresh: str


def user_register(*, email: str, password: str, name: str) -> User:
    """A user with a workspace of their own.

    Raises:
        ValidationError: the address is taken, or the password too weak.
    """
    user = User(email=email, name=name)
    try:
        validate_password(password, user)
    except PasswordRefused as refused:
        weak = [ErrorDetail(str(e.messages[0]), e.code or "invalid") for e in refused.error_list]
        raise ValidationError({"password": weak}) from refused
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            workspace = Workspace.objects.create(name=name or email.partition("@")[0][:100])
            Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    except IntegrityError as taken:
        raise FieldError("email", "taken", "is registered already") from taken
    USER_REGISTRATIONS.inc()
    return user


def user_log_in(*, email: str, password: str) -> Tokens:
    """Tokens for a user. Unknown address, wrong password and closed account take the same time and get the same answer.

    Raises:
        AuthenticationFailed: one of these three.
    """
    user = selectors.user_by_email(email=email)
    if user is None:
        User().set_password(password)
    if user is None or not user.check_password(password) or not user.is_active:
        API_AUTH_ATTEMPTS.labels("failure").inc()
        raise AuthenticationFailed("The address or the password is wrong.")
    API_AUTH_ATTEMPTS.labels("success").inc()
    refresh = RefreshToken.for_user(user)
    return Tokens(access=str(refresh.access_token), refresh=str(refresh))


def token_refresh(*, refresh: str) -> str:
    """A new access token.

    Raises:
        AuthenticationFailed: the refresh token is not valid any more, or the account was closed.
    """
    try:
        token = RefreshToken(refresh)  # type: ignore[arg-type]  # simplejwt annotates its own class where it takes text
    except TokenError:
        API_AUTH_ATTEMPTS.labels("failure").inc()
        raise AuthenticationFailed("This token is not valid or has expired.") from None
    if not selectors.user_is_active(user_id=token["sub"]):
        API_AUTH_ATTEMPTS.labels("failure").inc()
        raise AuthenticationFailed("This account is not active.")
    API_AUTH_ATTEMPTS.labels("success").inc()
    return str(token.access_token)


def api_key_create(*, workspace: Workspace, name: str, role: str, created_by: User | None) -> tuple[ApiKey, str]:
    """A key and its secret, which is not stored and so can be shown only now."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        workspace=workspace,
        name=name,
        role=role,
        created_by=created_by,
        prefix=secret[:SHOWN_PREFIX],
        digest=selectors.key_digest(secret),
    )
    return key, secret


def api_key_touch(*, key: ApiKey) -> None:
    """Remember that a key is used, to the minute: a write for each request would cost more than the request."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - TOUCH_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
