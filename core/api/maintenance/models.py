"""When maintenance is, and of what; `core.domain.maintenance` says what follows. `core.adapters.store.maintenance` reads it, too."""

from functools import cached_property
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from core.adapters.store.maintenance import COLUMNS, read_window
from core.api.accounts.models import Workspace, new_id
from core.domain.maintenance import current_and_next
from core.domain.uptime import Span


class WindowKind(models.TextChoices):
    """How often it comes."""

    ONCE = "once"
    WEEKLY = "weekly"
    CRON = "cron"


class MaintenanceWindow(models.Model):
    """A window of a workspace: of all its monitors, of those in `monitors` (public ids), or of those with one of the `tags`.

    `starts_at` and `ends_at` are the window itself where it comes once, and bounds of the repetition otherwise. A trigger marks the
    rolled-up hours that a new, changed or deleted window changes.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="maintenance_windows")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=WindowKind.choices)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    weekdays = ArrayField(models.SmallIntegerField(), default=list)
    start_time = models.TimeField(null=True)
    cron = models.CharField(max_length=100, blank=True, default="")
    duration_s = models.IntegerField(null=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    all_monitors = models.BooleanField(default=False)
    monitors = ArrayField(models.UUIDField(), default=list)
    tags = ArrayField(models.CharField(max_length=50), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "maintenance_window"
        indexes: ClassVar = [models.Index(fields=["workspace", "created_at"], name="maintenance_workspace_created")]

    @cached_property
    def intervals(self) -> tuple[Span | None, Span | None]:
        """The interval that lasts now and the first that begins later, as of the first time that anybody asks."""
        return current_and_next(read_window([getattr(self, column) for column in COLUMNS]), timezone.now())

    @property
    def active(self) -> bool:
        """Whether it is maintenance now."""
        return self.current is not None

    @property
    def current(self) -> Span | None:
        """The interval that lasts now."""
        return self.intervals[0]

    @property
    def next(self) -> Span | None:
        """The first interval that begins later."""
        return self.intervals[1]
