"""What services that page people have in common: an alert of theirs is opened, and closed by the key that opened it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from core.contracts.events import AlertRequested, AlertType
from lambdas.alert_dispatch.errors import Permanent, Transient
from lambdas.alert_dispatch.places import SUPERSEDABLE, Newer
from lambdas.alert_dispatch.posting import Answer, judge, taken

KINDS: Final = frozenset({"opsgenie", "pagerduty"})
"""The channels that lead to such services."""

CLOSING: Final[frozenset[AlertType]] = frozenset({"recovered", "monitored_again", "fast_again"})
"""Alerts that close what an earlier one with the same order key has opened. Others are left to people to close."""

ACKNOWLEDGING: Final[frozenset[AlertType]] = frozenset({"acknowledged"})
"""Alerts that acknowledge there what somebody has acknowledged here."""

OUTAGES: Final[frozenset[AlertType]] = frozenset({"down", "escalated", "reminder"})
"""Alerts that are as grave as the channel says outages are."""

SOURCE: Final = "Uptime Monitor"


def is_of_the_past(request: AlertRequested, newer: Newer | None) -> bool:
    """Whether somebody would be called for an outage that is over: the service hears of its end alone, which closes what may be open.

    That a later outage was to be told shows that this one is over.
    """
    return newer is not None and request.channel_kind in KINDS and request.alert_type in SUPERSEDABLE


def where(request: AlertRequested) -> str:
    """The system that is affected, in one line."""
    return request.monitor.target if request.monitor else SOURCE


def judge_call(answer: Answer, now: datetime, who: str, final: Mapping[int, bool], reason: str = "") -> None:
    """Raise what the answer of an API with a fixed address means; 2xx means taken.

    Args:
        answer: the answer.
        now: the time, for a Retry-After that holds a date.
        who: begins the text of the error.
        final: the statuses that the API documents as final, and whether the channel is disabled by them.
        reason: what the API said.

    Raises:
        Permanent: a status of `final`.
        Transient: any other status. Also one below 500 that the API does not document: it says nothing about the channel, and a page is
            too precious to give up for it.
    """
    if taken(answer.status):
        return
    said = f"{who} answered {answer.status}" + (f" ({reason})" if reason else "")
    if answer.status in final:
        raise Permanent(said, disable_channel=final[answer.status])
    try:
        judge(answer, now, who, reason=reason)
    except Permanent as undocumented:
        raise Transient(said) from undocumented
