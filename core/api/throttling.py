"""Limits on attempts to log in and to register, by address of the caller, and on checks out of turn, by the caller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, override

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from core.api.middleware import endpoint_of
from core.logs import get_logger

if TYPE_CHECKING:  # the settings of REST framework name this module, so its views cannot be imported here
    from rest_framework.views import APIView

log = get_logger(__name__)


class AddressThrottle(BaseThrottle):
    """At most `limit` requests in each window of `window_s` seconds from one address, counted atomically in Redis.

    A lost Redis must not lock everybody out: it is logged, and the request is let through.
    """

    scope = "address"
    window_s = 60

    @property
    def limit(self) -> int:
        """Requests in one window."""
        raise NotImplementedError

    @override
    def allow_request(self, request: Request, view: APIView) -> bool:
        window, self._elapsed_s = divmod(time.time(), self.window_s)
        key = f"throttle:{self.scope}:{self.get_ident(request)}:{int(window)}"
        try:
            cache.add(key, 0, timeout=self.window_s + 1)
            return bool(cache.incr(key) <= self.limit)
        except (RedisError, ValueError) as error:
            log.warning("throttle.open", scope=self.scope, endpoint=endpoint_of(request._request), error=str(error))  # noqa: SLF001  (DRF has no other)
            return True

    @override
    def wait(self) -> float:
        return self.window_s - self._elapsed_s + 1


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
