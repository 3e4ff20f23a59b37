"""Where a redirect leads, and whether a check goes there."""

from typing import Final

from core.adapters.probe_check import Check
from core.adapters.probe_head import Head
from core.adapters.probe_verdicts import Verdict, down
from core.domain.outcomes import Reason
from core.domain.urls import BadUrl, NormalisedUrl, normalise, resolve_location

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def redirected(check: Check, url: NormalisedUrl, status: int, head: Head) -> Verdict | NormalisedUrl:
    """The URL that an answer of `url` leads to, or why the check ends there."""
    try:
        following = normalise(resolve_location(url.url, head.location or b""))
    except BadUrl as error:
        return down(Reason.PROTOCOL_ERROR, f"{url.url} redirects to a URL that cannot be checked: {error.message}")
    if len(check.redirects) >= check.request.max_redirects:
        return down(Reason.REDIRECT_LIMIT, f"more than {check.request.max_redirects} redirects, the last to {following.url}")
    if url.scheme == "https" and following.scheme == "http":
        if _refuses_downgrade(check):
            return down(Reason.INSECURE_REDIRECT, f"{url.url} redirects to {following.url}")
        check.is_downgraded = True
    check.leave(url.url, following.url, status, head.cookies)
    return following


def _refuses_downgrade(check: Check) -> bool:
    options = check.request.options
    return options is not None and options.refuse_downgrade
