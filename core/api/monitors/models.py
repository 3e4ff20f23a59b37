"""What is watched: monitors, their settings by kind, their hot state, and the facts about them.

`Monitor.id` is a compact bigint for the hot tables; `Monitor.uid` is the id that users see. The state and fact tables are written
by `core.adapters.store` in plain SQL; Django owns their schema and reads them for the API.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core.api.accounts.models import Workspace, new_id


class MonitorKind(models.TextChoices):
    """How a monitor learns whether its target is well."""

    WEBSITE = "website"
    HEARTBEAT = "heartbeat"


class MonitorSeverity(models.TextChoices):
    """How much an outage matters (`core.domain.alert_routes.Severity`)."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Monitor(models.Model):
    """Anything that is watched. A paused monitor keeps its state and phase. `slug` is a heartbeat's name in ping URLs.

    While the one that it depends on is down, nobody is told that this one is. The reference is to the public id, so that answers show
    it without a join. It is checked, but nobody is told of it, until `muted_until`.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.UUIDField(unique=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="monitors")
    kind = models.CharField(max_length=10, choices=MonitorKind.choices)
    name = models.CharField(max_length=100)
    slug = models.CharField(max_length=64, null=True)
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    severity = models.CharField(
        max_length=10, choices=MonitorSeverity.choices, default=MonitorSeverity.CRITICAL, db_default=MonitorSeverity.CRITICAL
    )
    depends_on = models.ForeignKey("self", on_delete=models.SET_NULL, to_field="uid", null=True, related_name="dependants")
    paused_at = models.DateTimeField(null=True)
    muted_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "monitor"
        indexes: ClassVar = [models.Index(fields=["workspace", "created_at"], name="monitor_workspace_created")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["workspace", "slug"], name="monitor_slug_once")]


class Website(models.Model):
    """Settings of a website. `accepted_status` is a comma-separated list of codes and ranges, e.g. `200-299,301`.

    `options` (`core.domain.request_options`) is null for a plain check; where they hold secrets, those are masked there, and
    `sealed_options` is the encrypted whole. `domain` is the registered domain whose end is watched, null where nobody asked for that.
    """

    monitor = models.OneToOneField(Monitor, on_delete=models.CASCADE, primary_key=True, related_name="website")
    url = models.CharField(max_length=2048)
    method = models.CharField(max_length=10, default="GET")
    interval_s = models.IntegerField(default=60)
    retry_interval_s = models.IntegerField(default=10)
    timeout_ms = models.IntegerField(default=10_000)
    failure_threshold = models.SmallIntegerField(default=3)
    recovery_threshold = models.SmallIntegerField(default=1)
    degraded_threshold = models.SmallIntegerField(default=0, db_default=0)
    accepted_status = models.CharField(max_length=200, default="200-299")
    follow_redirects = models.BooleanField(default=True)
    max_redirects = models.SmallIntegerField(default=10)
    verify_tls = models.BooleanField(default=True)
    options = models.JSONField(null=True)
    sealed_options = models.TextField(null=True)
    certificate_notices = models.BooleanField(db_default=True)
    domain = models.CharField(max_length=253, null=True)
    config_version = models.IntegerField(default=1)

    class Meta:
        db_table = "website"
        indexes: ClassVar = [models.Index(fields=["domain"], condition=models.Q(domain__isnull=False), name="website_domain")]


class WebsiteState(models.Model):
    """Hot state of a website; `core.adapters.store` writes it, under a lease (`lease_id`, `leased_until`) while it is being checked."""

    monitor = models.OneToOneField(Monitor, on_delete=models.CASCADE, primary_key=True, related_name="website_state")
    state = models.CharField(max_length=4, db_default="new")
    next_check_at = models.DateTimeField(null=True)
    lease_id = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    failures = models.IntegerField(db_default=0)
    successes = models.IntegerField(db_default=0)
    first_failure_at = models.DateTimeField(null=True)
    unknown_since = models.DateTimeField(null=True)
    last_checked_at = models.DateTimeField(null=True)
    last_outcome = models.SmallIntegerField(null=True)
    last_reason = models.SmallIntegerField(null=True)
    last_status_code = models.SmallIntegerField(null=True)
    last_total_us = models.IntegerField(null=True)
    certificate_not_after = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "website_state"


class Certificate(models.Model):
    """The latest chain that a website showed. `chain` is a list of `core.contracts.certificates.CertificateFacts`, its own first.

    `seen_at` is exact to the day. `error` says why it was refused; where nobody `verified` it, that is not known.
    """

    monitor = models.OneToOneField(Monitor, on_delete=models.CASCADE, primary_key=True, related_name="certificate")
    host = models.CharField(max_length=253)
    port = models.IntegerField()
    digest = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField(db_index=True)
    verified = models.BooleanField()
    error = models.TextField()
    chain = models.JSONField()
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "certificate"


class Domain(models.Model):
    """What its registry said about a domain that at least one website watches (`Website.domain`).

    `ends_at` is kept while the registry cannot be asked: `failure` says why the latest attempt came to nothing, and is empty otherwise.
    `paused_until` is when the registry, at `server`, wants to be asked again at the earliest.
    """

    name = models.CharField(max_length=253, primary_key=True)
    ends_at = models.DateTimeField(null=True)
    registrar = models.TextField(db_default="")
    failure = models.TextField(db_default="")
    failures = models.IntegerField(db_default=0)
    server = models.TextField(db_default="")
    answered_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField(db_index=True)
    paused_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "domain"


class ScheduleKind(models.TextChoices):
    """How the times are said at which a heartbeat is expected."""

    PERIOD = "period"
    CRON = "cron"
    ONCALENDAR = "oncalendar"


class Heartbeat(models.Model):
    """Settings of a heartbeat (`core.domain.heartbeat_schedule`). `schedule` is the expression of the kinds that have one.

    For those `period_s` is only about how often they are due: what it can be compared by, not what decides. `post_only` and `filters`
    (`core.contracts.ping_filters`) are for the edge, which has a copy.
    """

    monitor = models.OneToOneField(Monitor, on_delete=models.CASCADE, primary_key=True, related_name="heartbeat")
    schedule_kind = models.CharField(max_length=10, choices=ScheduleKind.choices, default="period", db_default="period")
    period_s = models.IntegerField(default=86_400)
    schedule = models.TextField(default="", db_default="")
    time_zone = models.CharField(max_length=64, default="UTC", db_default="UTC")
    grace_s = models.IntegerField(default=3_600)
    early_s = models.IntegerField(null=True)
    max_run_s = models.IntegerField(null=True)
    min_run_s = models.IntegerField(default=0, db_default=0)
    failure_threshold = models.SmallIntegerField(default=1, db_default=1)
    sticky_pause = models.BooleanField(default=False, db_default=False)
    post_only = models.BooleanField(default=False, db_default=False)
    filters = models.JSONField(null=True)
    config_version = models.IntegerField(default=1)

    class Meta:
        db_table = "heartbeat"


class HeartbeatState(models.Model):
    """Hot state of a heartbeat, as `core.domain.heartbeat.HeartbeatState` explains it; `core.adapters.store` writes `runs` and `failures`.

    `deadline_at` is absent while nothing is expected: new, paused or down.
    """

    monitor = models.OneToOneField(Monitor, on_delete=models.CASCADE, primary_key=True, related_name="heartbeat_state")
    state = models.CharField(max_length=4, db_default="new")
    last_sequence = models.BigIntegerField(db_default=0)
    verdict_sequence = models.BigIntegerField(db_default=0)
    success_sequence = models.BigIntegerField(db_default=0)
    end_sequence = models.BigIntegerField(db_default=0)
    start_sequence = models.BigIntegerField(db_default=0)
    last_ping_at = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_fail_at = models.DateTimeField(null=True)
    last_start_at = models.DateTimeField(null=True)
    anchor_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    pings = models.BigIntegerField(db_default=0)
    changed_at = models.DateTimeField(null=True)
    runs = models.JSONField(null=True)
    failures = models.JSONField(null=True)

    class Meta:
        db_table = "heartbeat_state"


class EdgeOrphan(models.Model):
    """A heartbeat that was deleted, or is about to be created: if it has no row after a while, its item at the edge is removed."""

    heartbeat_id = models.UUIDField(primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "edge_orphan"


class CheckResult(models.Model):
    """One check. Partitioned by day on `checked_at`, no unique key: the lease guards against duplicates. Times in microseconds."""

    pk = models.CompositePrimaryKey("monitor_id", "checked_at")
    monitor_id = models.BigIntegerField()
    checked_at = models.DateTimeField()
    total_us = models.IntegerField(null=True)
    dns_us = models.IntegerField(null=True)
    connect_us = models.IntegerField(null=True)
    tls_us = models.IntegerField(null=True)
    first_byte_us = models.IntegerField(null=True)
    outcome = models.SmallIntegerField()
    reason = models.SmallIntegerField()
    status_code = models.SmallIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "check_result"


class Ping(models.Model):
    """One ping of a heartbeat. Partitioned by day on `pinged_at`; its body stays at the edge.

    `rid` is the run id that the job sent, `started_at` the start of the run that this ping ends, `due_at` when a success was expected.
    """

    pk = models.CompositePrimaryKey("id", "pinged_at")
    id = models.UUIDField()
    monitor_id = models.BigIntegerField()
    sequence = models.BigIntegerField()
    pinged_at = models.DateTimeField()
    kind = models.CharField(max_length=7)
    exit_status = models.BigIntegerField(null=True)
    method = models.CharField(max_length=7)
    source_ip = models.TextField()
    user_agent = models.TextField()
    body_size = models.IntegerField()
    body_truncated = models.BooleanField()
    body_lost = models.BooleanField(db_default=False)
    rid = models.UUIDField(null=True)
    started_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "ping"


class HeartbeatUnknown(models.Model):
    """A deadline that passed in a silence which proves nothing; from it on nothing is known until the next ping."""

    pk = models.CompositePrimaryKey("monitor_id", "since")
    monitor_id = models.BigIntegerField()
    since = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "heartbeat_unknown"


class HeartbeatChange(models.Model):
    """When a heartbeat became what: a view over incidents, pauses and silence that nobody could judge."""

    pk = models.CompositePrimaryKey("monitor_id", "at", "rank")
    monitor_id = models.BigIntegerField()
    at = models.DateTimeField()
    rank = models.IntegerField()
    change = models.CharField(max_length=7)
    incident_id = models.UUIDField(null=True)

    class Meta:
        managed = False
        db_table = "heartbeat_change"
