"""Limits on attempts to log in and to register, on checks out of turn, and on questions to people who never asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, override

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from core.logs import get_logger

if TYPE_CHECKING:  # the settings of REST framework name this module, so its views cannot be imported here
    from rest_framework.views import APIView

log = get_logger(__name__)


def hold_back(scope: str, who: str, limit: int, window_s: int) -> None:
    """Count one more of what somebody may do at most `limit` times in each window of `window_s` seconds.

    Raises:
        Throttled: it is one too many.
    """
    wait_s = _seconds_to_wait(scope, who, limit, window_s)
    if wait_s is not None:
        raise Throttled(wait_s)


def _seconds_to_wait(scope: str, who: str, limit: int, window_s: int) -> float | None:
    """Count one more, atomically in Redis; None where it may be done now.

    A lost Redis must not lock everybody out: it is logged, and the request is let through.
    """
    window, elapsed_s = divmod(time.time(), window_s)
    key = f"throttle:{scope}:{who}:{int(window)}"
    try:
        cache.add(key, 0, timeout=window_s + 1)
        count = int(cache.incr(key))
    except (RedisError, ValueError) as error:
        log.warning("throttle.open", scope=scope, error=str(error))
        return None
    return window_s - elapsed_s + 1 if count > limit else None


class AddressThrottle(BaseThrottle):
    """At most `limit` requests in each window of `window_s` seconds from one address."""

    scope = "address"
    window_s = 60

    @property
    def limit(self) -> int:
        """Requests in one window."""
        raise NotImplementedError

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        self._wait_s = _seconds_to_wait(self.scope, self.get_ident(request), self.limit, self.window_s)
        return self._wait_s is None

    @override
    def wait(self) -> float | None:
        return self._wait_s


class LoginThrottle(AddressThrottle):
    """Guessing passwords."""

    scope = "login"

    @property
    @override
    def limit(self) -> int:
        return int(settings.LOGINS_PER_MINUTE)


class RegistrationThrottle(AddressThrottle):
    """Making accounts."""

    scope = "register"
    window_s = 3600

    @property
    @override
    def limit(self) -> int:
        return int(settings.REGISTRATIONS_PER_HOUR)


class CheckThrottle(AddressThrottle):
    """Checks out of turn, by person or API key: each makes us send a request to somebody else."""

    scope = "check"

    @property
    @override
    def limit(self) -> int:
        return int(settings.CHECKS_PER_MINUTE)

    @override
    def get_ident(self, request: Request) -> str:
        access = request.auth  # whoever may not do this was refused before
        return str(access.key.id if access.key else access.user.id)
