"""Writes about websites; each is one transaction.

The fleet checks while these run. Two fences keep them apart: clearing the lease and raising `config_version` make every result that
is under way for the old settings void.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from core.adapters.public_suffix import registered_domain
from core.api import edge, problem_types
from core.api.accounts.models import Workspace
from core.api.incidents.services import alerts_reconsider
from core.api.monitors.models import Certificate, Monitor, MonitorKind, Website, WebsiteState
from core.api.monitors.services import COMMON_FIELDS, common_update, common_values, monitor_save
from core.api.problems import FieldError, Problem
from core.api.websites import options
from core.domain.schedule import next_check_at
from core.domain.schemes import normalise_target, scheme_of, unfit_setting

DEFAULT_RETRY_INTERVAL_S: Final = 10
DEFAULT_TIMEOUT_MS: Final = 10_000
OPTIONS: Final = "options"
DOMAIN_EXPIRY: Final = "domain_expiry"
NOT_COLUMNS: Final = COMMON_FIELDS | {OPTIONS, DOMAIN_EXPIRY}
REQUEST_FIELDS: Final = frozenset(
    {"url", "method", "timeout_ms", "accepted_status", "follow_redirects", "max_redirects", "verify_tls", OPTIONS}
)
"""What a check does; the other settings are about when it is done and what follows."""


def website_create(*, workspace: Workspace, values: Mapping[str, Any], now: datetime) -> Monitor:
    """A website that is due at once.

    Raises:
        FieldError: settings contradict each other, or there is no such parent.
    """
    settings = {name: value for name, value in values.items() if name not in NOT_COLUMNS}
    interval_s = settings["interval_s"]
    settings.setdefault("retry_interval_s", min(DEFAULT_RETRY_INTERVAL_S, interval_s))
    settings.setdefault("timeout_ms", min(DEFAULT_TIMEOUT_MS, interval_s * 1000))
    with transaction.atomic():
        monitor = Monitor.objects.create(
            workspace=workspace, kind=MonitorKind.WEBSITE, created_at=now, **common_values(workspace.id, values)
        )
        website = Website(monitor=monitor, **settings)
        options.merge(website, values.get(OPTIONS, {}))
        _watch_domain(website, watch=values.get(DOMAIN_EXPIRY, False))
        _check(website)
        website.save(force_insert=True)
        WebsiteState.objects.create(monitor=monitor, state="new", failures=0, successes=0, next_check_at=now)
        transaction.on_commit(_look_soon)
    return monitor


def website_update(*, monitor: Monitor, changes: Mapping[str, Any], now: datetime) -> None:
    """Change settings. A changed check starts anew: results under way are void, counts begin at nought, and it is due at once.

    The state stays until a check says otherwise, so an open incident of a website whose URL was mended ends by a success.

    Raises:
        FieldError: settings contradict each other.
    """
    with transaction.atomic():
        state = WebsiteState.objects.select_for_update().get(monitor=monitor)
        website = Website.objects.select_for_update().get(monitor=monitor)
        plain = {name: value for name, value in changes.items() if name not in NOT_COLUMNS}
        changed = {name for name, value in plain.items() if getattr(website, name) != value}
        before = website.url
        for name in changed:
            setattr(website, name, changes[name])
        if options.merge(website, changes.get(OPTIONS, {})):
            changed.add(OPTIONS)
        if _watch_domain(website, watch=changes.get(DOMAIN_EXPIRY, website.domain is not None)):
            changed.add(DOMAIN_EXPIRY)
        _check(website)
        if "url" in changed:
            _forget_certificate(monitor, before, website.url)
        if changed:
            website.config_version += 1
            website.save()
            _reschedule(state, website, changed, now)
            state.save()
            transaction.on_commit(_look_soon)
        common_update(monitor=monitor, changes=changes, now=now)


def website_pause(*, monitor: Monitor, now: datetime) -> None:
    """Stop checking; a check under way is void. Pausing twice changes nothing."""
    with transaction.atomic():
        state = WebsiteState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        if monitor.paused_at is None:
            state.next_check_at = None
            _end_lease(state)
            _forget_counts(state)
            state.save()
            monitor_save(monitor=monitor, changes={"paused_at": now})
            alerts_reconsider(workspace_id=monitor.workspace_id, now=now)


def website_resume(*, monitor: Monitor, now: datetime) -> None:
    """Check again, in the website's own phase. Resuming what runs changes nothing."""
    with transaction.atomic():
        state = WebsiteState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        if monitor.paused_at is not None:
            interval_s = Website.objects.values_list("interval_s", flat=True).get(monitor=monitor)
            state.next_check_at = next_check_at(monitor.id, interval_s, now)
            state.save()
            monitor_save(monitor=monitor, changes={"paused_at": None})
            alerts_reconsider(workspace_id=monitor.workspace_id, now=now)
            transaction.on_commit(_look_soon)


def website_check_now(*, monitor: Monitor, now: datetime) -> None:
    """Make the website due. The next tick would find it within seconds; the task makes that sooner.

    Raises:
        Problem: it is paused.
    """
    due = WebsiteState.objects.filter(monitor=monitor, next_check_at__isnull=False).update(next_check_at=now)
    if not due:
        raise Problem(problem_types.CONFLICT, "This website is paused; resume it to have it checked.")
    edge.task_queue().send("check_single_website", str(monitor.uid))


def _look_soon() -> None:
    """Where little is checked, due websites are looked for every four seconds: this one may be due before that."""
    edge.task_queue().look_soon()


def _check(website: Website) -> None:
    """Settings that fit together: no check may outlast its interval, no retry may come later than the next check would."""
    if website.timeout_ms > website.interval_s * 1000:
        raise FieldError("timeout_ms", "too_long", f"must not exceed the interval, {website.interval_s} s")
    if website.retry_interval_s > website.interval_s:
        raise FieldError("retry_interval_s", "too_long", f"must not exceed the interval, {website.interval_s} s")
    scheme = scheme_of(website.url)
    if unfit := unfit_setting(scheme, vars(website)):
        raise FieldError(unfit, "not_with_kind", f"means nothing to a {scheme}:// check")
    options.check(website)
    if website.degraded_threshold and "degraded_after_ms" not in (website.options or {}):
        raise FieldError("degraded_threshold", "no_limit", "means nothing without options.degraded_after_ms")


def _reschedule(state: WebsiteState, website: Website, changed: set[str], now: datetime) -> None:
    """A check under way is void whatever changed: it would schedule the next one by the old interval."""
    _end_lease(state)
    if changed & REQUEST_FIELDS:
        _forget_counts(state)
    if "url" in changed:
        state.certificate_not_after = None
    if state.next_check_at is None:
        return
    due = now if changed & REQUEST_FIELDS else next_check_at(website.monitor_id, website.interval_s, now)
    state.next_check_at = min(state.next_check_at, due)


def _watch_domain(website: Website, *, watch: bool) -> bool:
    """Watch the domain of the URL as it is now, or none; returns whether that is a change.

    Raises:
        FieldError: the URL has no domain that somebody registered.
    """
    before = website.domain
    website.domain = registered_domain(normalise_target(website.url).host) if watch else None
    if watch and website.domain is None:
        raise FieldError(DOMAIN_EXPIRY, "no_domain", "is not possible: the URL's host is below no domain of its own")
    return website.domain != before


def _forget_certificate(monitor: Monitor, before: str, after: str) -> None:
    """What another server showed is not this website's. One on the same server is kept: checks read it every ten minutes only."""
    old, new = normalise_target(before), normalise_target(after)
    if (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port):
        Certificate.objects.filter(monitor=monitor).delete()


def _end_lease(state: WebsiteState) -> None:
    state.lease_id = None
    state.leased_until = None


def _forget_counts(state: WebsiteState) -> None:
    state.failures = 0
    state.successes = 0
    state.first_failure_at = None
