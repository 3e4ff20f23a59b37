"""Requests and answers about heartbeats."""

from typing import Any, Final, override

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.adapters.store.heartbeat_rows import DAY_S, YEAR_S
from core.api.answers import Answer
from core.api.fields import Flag, Strict, Text, Whole, Words
from core.api.heartbeats import rows
from core.api.heartbeats.expected import ExpectedTime, ExpectedTimes
from core.api.heartbeats.rows import OpenRun
from core.api.heartbeats.selectors import HEARTBEAT_STATES
from core.api.monitors.models import Monitor, Ping, ScheduleKind
from core.api.monitors.serializers import MonitorAnswer, ParentField, SeverityField
from core.contracts.slugs import SLUG_LIMIT, SLUG_RULE, is_slug
from core.domain.heartbeat_schedule import MOST_FAILURES
from core.domain.heartbeat_words import explanation

FEW_TIMES: Final = 5
MOST_TIMES: Final = 100
PING_KINDS = ("success", "fail", "start", "log")


class Keywords(serializers.ListField):
    """Words to look for in bodies; case matters."""

    def __init__(self) -> None:
        super().__init__(child=Text(max_length=200, trim_whitespace=False), max_length=20, required=False)


class FiltersField(Strict):
    """What plain pings say by words in their bodies: the first of `fail`, `success`, `start` with a word that occurs decides."""

    fail = Keywords()  # type: ignore[assignment]  # DRF takes declared fields out of the class, its method `fail` stays
    success = Keywords()
    start = Keywords()
    otherwise = serializers.ChoiceField(choices=["ignore", "fail"], required=False, default="ignore")


class SlugField(Text):
    """A heartbeat's name in ping URLs."""

    def __init__(self) -> None:
        super().__init__(
            max_length=SLUG_LIMIT,
            required=False,
            help_text="Name in ping URLs, unique in the workspace; made of the name where it is not given.",
        )

    @override
    def to_internal_value(self, data: Any) -> str:
        slug = super().to_internal_value(data)
        if not is_slug(slug):
            raise serializers.ValidationError(SLUG_RULE, "slug")
        return slug


class ScheduleRequest(Strict):
    """When a ping is expected: every `period_s` seconds, or by `schedule`; once a day, if neither is given."""

    schedule_kind = serializers.ChoiceField(
        choices=ScheduleKind.choices, required=False, help_text="What `schedule` is; guessed from it if it is not given."
    )
    period_s = Whole(min_value=10, max_value=YEAR_S, required=False)
    schedule = Text(
        max_length=1000,
        required=False,
        help_text="Five fields of cron or a macro such as `@daily`; or expressions of systemd's OnCalendar, one a line.",
    )
    time_zone = Text(
        max_length=64, required=False, help_text="A name of the IANA database, e.g. `Europe/Berlin`; UTC if it is not given."
    )


class HeartbeatRequest(ScheduleRequest):
    """When a ping is expected (once a day, if nothing says when), and what is tolerated."""

    name = Text(max_length=100)
    slug = SlugField()
    tags = Words(required=False, default=list)
    severity = SeverityField()
    depends_on = ParentField()
    grace_s = Whole(min_value=1, max_value=YEAR_S, required=False, default=3_600, help_text="How late a ping may be.")
    early_s = Whole(
        min_value=0,
        max_value=DAY_S,
        required=False,
        allow_null=True,
        help_text="How early a ping may be for a time of `schedule`; null: a tenth of the time to the next, at most 60.",
    )
    max_run_s = Whole(
        min_value=1,
        max_value=YEAR_S,
        required=False,
        allow_null=True,
        help_text="How long a run may take from its start; null: as long as the grace.",
    )
    min_run_s = Whole(
        min_value=0, max_value=YEAR_S, required=False, default=0, help_text="A run that ends sooner after its start has failed."
    )
    failure_threshold = Whole(
        min_value=1,
        max_value=MOST_FAILURES,
        required=False,
        default=1,
        help_text="Failures in a row, missed pings among them, that make it down.",
    )
    sticky_pause = Flag(required=False, default=False, help_text="Whether no ping ends a pause.")
    post_only = Flag(required=False, default=False, help_text="GET and HEAD are answered 405 and are no pings.")
    filters = FiltersField(required=False, allow_null=True, default=None)


class PreviewRequest(ScheduleRequest):
    """A schedule that need not be stored, and how many times to show."""

    count = Whole(min_value=1, max_value=MOST_TIMES, required=False, default=FEW_TIMES)


class ExpectedAnswer(Answer[ExpectedTime]):
    """A time at which a ping is due. `local` is what a clock in the zone of the schedule shows, with its offset."""

    at = serializers.DateTimeField()
    local = serializers.CharField()


class ExpectedTimesAnswer(Answer[ExpectedTimes]):
    """The next times at which a ping is due if each one before comes in time; fewer where no more are left."""

    schedule_kind = serializers.ChoiceField(choices=ScheduleKind.choices)
    rule = serializers.CharField(help_text="The schedule in words, e.g. `cron 0 12 * * *`.")
    time_zone = serializers.CharField()
    times = ExpectedAnswer(many=True)


class RunAnswer(Answer[OpenRun]):
    """A run that has started and not ended. `rid` is null where the job sends none."""

    rid = serializers.UUIDField(allow_null=True)
    started_at = serializers.DateTimeField()


class HeartbeatAnswer(MonitorAnswer):
    """A heartbeat with its settings and its state. `expected_at` is when a ping is due, `deadline_at` when it counts as missed."""

    slug = serializers.CharField(allow_null=True)
    schedule_kind = serializers.ChoiceField(choices=ScheduleKind.choices, source="heartbeat.schedule_kind")
    period_s = serializers.SerializerMethodField(help_text="Null where `schedule` says when.")
    schedule = serializers.SerializerMethodField(help_text="Null for a period.")
    time_zone = serializers.CharField(source="heartbeat.time_zone")
    grace_s = serializers.IntegerField(source="heartbeat.grace_s")
    early_s = serializers.IntegerField(source="heartbeat.early_s", allow_null=True)
    max_run_s = serializers.IntegerField(source="heartbeat.max_run_s", allow_null=True)
    min_run_s = serializers.IntegerField(source="heartbeat.min_run_s")
    failure_threshold = serializers.IntegerField(source="heartbeat.failure_threshold")
    sticky_pause = serializers.BooleanField(source="heartbeat.sticky_pause")
    post_only = serializers.BooleanField(source="heartbeat.post_only")
    filters = FiltersField(source="heartbeat.filters", allow_null=True)
    ping_url = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=HEARTBEAT_STATES, source="state_now")
    state_since = serializers.DateTimeField(source="heartbeat_state.changed_at", allow_null=True)
    unknown_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when nothing is known of it, because its ping may have met an outage of ours."
    )
    last_ping_at = serializers.DateTimeField(source="heartbeat_state.last_ping_at", allow_null=True)
    last_success_at = serializers.DateTimeField(source="heartbeat_state.last_success_at", allow_null=True)
    last_fail_at = serializers.DateTimeField(source="heartbeat_state.last_fail_at", allow_null=True)
    last_start_at = serializers.DateTimeField(source="heartbeat_state.last_start_at", allow_null=True)
    expected_at = serializers.DateTimeField(source="heartbeat_state.due_at", allow_null=True)
    deadline_at = serializers.DateTimeField(source="heartbeat_state.deadline_at", allow_null=True)
    runs = serializers.SerializerMethodField()
    failures = serializers.SerializerMethodField(help_text="Failures in a row, as many as are counted.")
    explanation = serializers.SerializerMethodField(help_text="What is expected now, and why.")
    pings = serializers.IntegerField(source="heartbeat_state.pings", help_text="How many pings have come in.")

    def get_period_s(self, monitor: Monitor) -> int | None:
        """The period, of a heartbeat that has one."""
        return monitor.heartbeat.period_s if monitor.heartbeat.schedule_kind == ScheduleKind.PERIOD else None

    def get_schedule(self, monitor: Monitor) -> str | None:
        """The expression, of a heartbeat that has one."""
        return monitor.heartbeat.schedule or None

    @extend_schema_field(RunAnswer(many=True))
    def get_runs(self, monitor: Monitor) -> list[dict[str, Any]]:
        """Runs under way, in the order of their starts."""
        return [RunAnswer(run).data for run in rows.open_runs(monitor.heartbeat_state)]

    def get_failures(self, monitor: Monitor) -> int:
        """Failures since the last success, no more than make it down."""
        return len(monitor.heartbeat_state.failures or ())

    def get_explanation(self, monitor: Monitor) -> str:
        """E.g. `expected at 12:00 Europe/Riga (cron 0 12 * * *), grace 10 min, last ping 2026-11-22 12:00:03`."""
        return explanation(rows.heartbeat_of(monitor), monitor.asked_at)  # type: ignore[attr-defined]  # by `heartbeat_list`

    def get_ping_url(self, monitor: Monitor) -> str:
        """What the job calls when it is done; with `start/`, `fail/`, `log/` or an exit status behind it for more."""
        return f"{settings.PING_URL}/api/ping/{monitor.uid}/"


class PingAnswer(Answer[Ping]):
    """One ping. Its body, if it had one, is at `body/`."""

    id = serializers.UUIDField()
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField(source="pinged_at")
    kind = serializers.ChoiceField(choices=PING_KINDS)
    exit_status = serializers.IntegerField(allow_null=True)
    method = serializers.CharField()
    source_ip = serializers.CharField()
    user_agent = serializers.CharField()
    rid = serializers.UUIDField(allow_null=True, help_text="The run id that the job sent.")
    started_at = serializers.DateTimeField(allow_null=True, help_text="When the run began that this ping ended.")
    duration_s = serializers.SerializerMethodField(help_text="How long that run took.")
    due_at = serializers.DateTimeField(allow_null=True, help_text="When this success was expected, of one that was.")
    body_size = serializers.IntegerField(help_text="Bytes that the job sent.")
    body_truncated = serializers.BooleanField(help_text="Whether only the beginning of the body was kept.")
    body_lost = serializers.BooleanField(help_text="Whether that is so because its place was out of reach.")

    def get_duration_s(self, ping: Ping) -> float | None:
        """How long the run took that this ping ended; null where its start was not seen."""
        return (ping.pinged_at - ping.started_at).total_seconds() if ping.started_at else None
