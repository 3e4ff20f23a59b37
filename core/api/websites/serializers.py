"""Requests and answers about websites."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.fields import Flag, Strict, Text, Whole, Words
from core.api.monitors.models import CheckResult, Monitor
from core.api.monitors.serializers import OUTCOMES, STATES, LabelField, MonitorAnswer, ParentField, SeverityField
from core.api.monitors.targets import accepted_url
from core.api.websites.options import OPTIONS_SCHEMA, OptionsField
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import parse_accepted_status
from core.domain.schemes import SCHEMES
from core.domain.slowness import LONGEST_RUN
from core.domain.urls import BadUrl

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
DAY_S = 86_400


class WebsiteRequest(Strict):
    """A website, or another service. `method`, `accepted_status` and redirects are for http and https only.

    Without `timeout_ms` and `retry_interval_s`: 10 seconds, or the interval where that is shorter.
    """

    name = Text(max_length=100)
    url = Text(max_length=2048, help_text=f"Its scheme is the kind of check: {', '.join(SCHEMES)}. Without user and password.")
    tags = Words(required=False, default=list)
    severity = SeverityField()
    depends_on = ParentField()
    method = serializers.ChoiceField(choices=METHODS, required=False, default="GET")
    interval_s = Whole(min_value=5, max_value=DAY_S, required=False, default=60)
    retry_interval_s = Whole(min_value=1, max_value=3600, required=False)
    timeout_ms = Whole(min_value=1000, max_value=60_000, required=False)
    failure_threshold = Whole(
        min_value=1, max_value=10, required=False, default=3, help_text="Failures in a row until it is down."
    )
    recovery_threshold = Whole(
        min_value=1, max_value=10, required=False, default=1, help_text="Successes in a row until it is up."
    )
    degraded_threshold = Whole(
        min_value=0,
        max_value=LONGEST_RUN,
        required=False,
        default=0,
        help_text="Checks in a row slower than `options.degraded_after_ms` until people are told. With 0 they are not.",
    )
    accepted_status = Text(max_length=200, required=False, default="200-299", help_text="Codes and ranges, e.g. `200-299,301`.")
    follow_redirects = Flag(required=False, default=True)
    max_redirects = Whole(min_value=0, max_value=20, required=False, default=10)
    verify_tls = Flag(required=False, default=True)
    certificate_notices = Flag(
        required=False, default=True, help_text="Whether people are told that the certificate ends in 30, 14, 7, 3 and 1 days."
    )
    domain_expiry = Flag(
        required=False, default=False, help_text="Whether the registry is asked when the domain ends, and people are told before."
    )
    options = OptionsField(
        required=False, help_text="What else is sent and expected. Members that an edit leaves out stay as they are."
    )

    def validate_url(self, url: str) -> str:
        """The URL in its normal form."""
        try:
            return accepted_url(url, private_targets=settings.PRIVATE_TARGETS, mail_port_open=settings.SMTP_PORT_25_OPEN)
        except BadUrl as bad:
            raise serializers.ValidationError(bad.message, bad.code) from bad

    def validate_accepted_status(self, text: str) -> str:
        """Codes and ranges that the probe can read."""
        try:
            parse_accepted_status(text)
        except ValueError as bad:
            raise serializers.ValidationError(str(bad), "invalid") from bad
        return text


class LastCheckAnswer(Answer[Any]):
    """The latest check. `reason` says why the outcome is what it is; `duration_ms` covers redirects too."""

    at = serializers.DateTimeField(source="last_checked_at")
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField()
    status_code = serializers.IntegerField(source="last_status_code", allow_null=True)
    duration_ms = serializers.FloatField(allow_null=True)


class WebsiteAnswer(MonitorAnswer):
    """A website with its settings and its state."""

    url = serializers.CharField(source="website.url")
    method = serializers.ChoiceField(choices=METHODS, source="website.method")
    interval_s = serializers.IntegerField(source="website.interval_s")
    retry_interval_s = serializers.IntegerField(source="website.retry_interval_s")
    timeout_ms = serializers.IntegerField(source="website.timeout_ms")
    failure_threshold = serializers.IntegerField(source="website.failure_threshold")
    recovery_threshold = serializers.IntegerField(source="website.recovery_threshold")
    degraded_threshold = serializers.IntegerField(source="website.degraded_threshold")
    accepted_status = serializers.CharField(source="website.accepted_status")
    follow_redirects = serializers.BooleanField(source="website.follow_redirects")
    max_redirects = serializers.IntegerField(source="website.max_redirects")
    verify_tls = serializers.BooleanField(source="website.verify_tls")
    certificate_notices = serializers.BooleanField(source="website.certificate_notices")
    domain_expiry = serializers.SerializerMethodField()
    options = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=STATES, source="website_state.state")
    state_since = serializers.DateTimeField(source="website_state.changed_at", allow_null=True)
    degraded = serializers.SerializerMethodField()
    consecutive_failures = serializers.IntegerField(source="website_state.failures")
    unknown_since = serializers.DateTimeField(
        source="website_state.unknown_since", allow_null=True, help_text="Since when our own trouble keeps us from telling."
    )
    next_check_at = serializers.DateTimeField(source="website_state.next_check_at", allow_null=True)
    certificate_not_after = serializers.DateTimeField(source="website_state.certificate_not_after", allow_null=True)
    last_check = serializers.SerializerMethodField()

    def get_degraded(self, monitor: Monitor) -> bool:
        """Whether the latest check was well but slower than `options.degraded_after_ms`."""
        return monitor.website_state.last_reason == Reason.DEGRADED

    def get_domain_expiry(self, monitor: Monitor) -> bool:
        """Whether the end of its domain is watched."""
        return monitor.website.domain is not None

    @extend_schema_field(OPTIONS_SCHEMA)
    def get_options(self, monitor: Monitor) -> dict[str, Any]:
        """Those that are set; each secret is ********."""
        return monitor.website.options or {}

    @extend_schema_field(LastCheckAnswer(allow_null=True))
    def get_last_check(self, monitor: Monitor) -> dict[str, Any] | None:
        """None before the first check."""
        state = monitor.website_state
        if state.last_checked_at is None or state.last_outcome is None or state.last_reason is None:
            return None
        return {
            "at": state.last_checked_at,
            "outcome": Outcome(state.last_outcome).label,
            "reason": Reason(state.last_reason).label,
            "status_code": state.last_status_code,
            "duration_ms": milliseconds(state.last_total_us),
        }


class CheckResultAnswer(Answer[CheckResult]):
    """One check. Phases that did not happen are null."""

    at = serializers.DateTimeField(source="checked_at")
    outcome = LabelField(Outcome)
    reason = LabelField(Reason)
    status_code = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.SerializerMethodField()
    dns_ms = serializers.SerializerMethodField()
    connect_ms = serializers.SerializerMethodField()
    tls_ms = serializers.SerializerMethodField()
    first_byte_ms = serializers.SerializerMethodField()

    def get_duration_ms(self, result: CheckResult) -> float | None:
        """The whole check, redirects included."""
        return milliseconds(result.total_us)

    def get_dns_ms(self, result: CheckResult) -> float | None:
        """Resolving the name."""
        return milliseconds(result.dns_us)

    def get_connect_ms(self, result: CheckResult) -> float | None:
        """Connecting."""
        return milliseconds(result.connect_us)

    def get_tls_ms(self, result: CheckResult) -> float | None:
        """The TLS handshake."""
        return milliseconds(result.tls_us)

    def get_first_byte_ms(self, result: CheckResult) -> float | None:
        """Waiting for the first byte of the answer."""
        return milliseconds(result.first_byte_us)


def milliseconds(microseconds: int | None) -> float | None:
    """A stored duration as the API shows it."""
    return None if microseconds is None else microseconds / 1000
