"""Where a job's pings go: what `--heartbeat` and UPTIME_PING_URL say, as addresses of the ping API (`docs/reference/ping-api.md`)."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]+/[a-z0-9_-]+")


class Misnamed(Exception):
    """No heartbeat can be found by that name; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """The ping URL of a heartbeat, without a slash at its end."""

    url: str

    def address(self, action: str = "", rid: str | None = None) -> str:
        """Where a ping goes: `action` is empty, `start`, `fail`, `log` or an exit status; `rid` pairs a start with its end."""
        path = f"{self.url}/{action}/" if action else f"{self.url}/"
        return f"{path}?rid={rid}" if rid else path


def find_target(heartbeat: str, ping_url: str | None) -> Target:
    """The heartbeat that a person named: by its whole ping URL, or by UUID or `<ping-key>/<slug>` at the gateway `ping_url`.

    Raises:
        Misnamed: it is none of these, or there is no gateway for it.
    """
    if "://" in heartbeat:
        return Target(_http(heartbeat, "the heartbeat's URL"))
    if not (_UUID.fullmatch(heartbeat) or _SLUG.fullmatch(heartbeat)):
        raise Misnamed(f"{heartbeat!r} is neither a UUID, nor PING-KEY/SLUG, nor a ping URL")
    if not ping_url:
        raise Misnamed("UPTIME_PING_URL is not set: it is the address of the ping gateway, e.g. https://ping.example.com")
    return Target(f"{_http(ping_url, 'UPTIME_PING_URL')}/api/ping/{heartbeat}")


def _http(url: str, what: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # unbalanced brackets, a port that is none
        usable = False
    if not usable or not url.isascii() or re.search(r"[\s?#]", url):
        raise Misnamed(f"{what} must be like https://ping.example.com/…, without a query")
    return url.rstrip("/")
