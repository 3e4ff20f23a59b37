"""What follows from a change of state: incidents, alerts, deliveries and the outbox. Written by `core.adapters.store`."""

from typing import ClassVar

from django.db import models

from core.api.accounts.models import Workspace, new_id
from core.api.channels.models import Channel
from core.api.monitors.models import Monitor


class Incident(models.Model):
    """One outage of one monitor. Invariant: at most one is open for each monitor (partial unique index).

    `caused_by` is the outage of the monitor that this one depends on. Without a constraint in the database: whoever sets it must not
    wait for who deletes the other. `acknowledged_by` is the name of whoever has taken it on since `acknowledged_at`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="incidents")
    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="incidents")
    reason = models.SmallIntegerField()
    detail = models.TextField(db_default="")
    began_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, db_default="")
    caused_by = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, db_constraint=False, related_name="consequences")

    class Meta:
        db_table = "incident"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["monitor"], condition=models.Q(resolved_at__isnull=True), name="incident_one_open")
        ]
        indexes: ClassVar = [models.Index(fields=["workspace", "opened_at"], name="incident_workspace_opened")]


class HeldReason(models.TextChoices):
    """Why an alert is held or was dropped (`core.domain.alert_policy.Why`)."""

    MAINTENANCE = "maintenance"
    DEPENDENCY = "dependency"
    FLAPPING = "flapping"
    PAUSED = "paused"
    MUTED = "muted"
    QUIET_HOURS = "quiet_hours"
    DELAYED = "delayed"
    UNTOLD = "untold"
    THROTTLED = "throttled"


class Alert(models.Model):
    """Something that people should be told. `facts` is what the message says: the monitor, the incident, the text.

    `order_key` and `sequence` order the messages about one incident (or one channel test). It waits for a decision until `routed_at`;
    while it is held, `due_at` is when it is decided again. `held_reason` says why it is, or was, held or `dropped`.
    `chosen_by` (`core.domain.alert_routes.Chosen`) says how its channels were chosen, `route_name` by which route.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alerts")
    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, null=True, related_name="alerts", db_index=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, null=True, related_name="alerts")
    alert_type = models.CharField(max_length=20)
    order_key = models.UUIDField()
    sequence = models.IntegerField()
    facts = models.JSONField()
    only_channel = models.ForeignKey(Channel, on_delete=models.CASCADE, null=True)
    created_at = models.DateTimeField()
    routed_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    held_reason = models.CharField(max_length=20, choices=HeldReason.choices, blank=True, db_default="")
    dropped = models.BooleanField(db_default=False)
    chosen_by = models.CharField(max_length=10, blank=True, db_default="")
    route_name = models.CharField(max_length=100, blank=True, db_default="")

    class Meta:
        db_table = "alert"
        indexes: ClassVar = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(routed_at__isnull=True, due_at__isnull=True),
                name="alert_not_decided",
            ),
            models.Index(fields=["due_at"], condition=models.Q(routed_at__isnull=True, due_at__isnull=False), name="alert_held"),
            models.Index(fields=["monitor", "routed_at"], name="alert_monitor_routed"),
            models.Index(fields=["workspace", "created_at"], name="alert_workspace_created"),
            models.Index(
                fields=["order_key"],
                condition=models.Q(alert_type__in=["not_monitored", "monitored_again"]),
                name="alert_of_gap",
            ),
        ]


class AlertStep(models.Model):
    """An outage that lasts and of which somebody is to be told at `due_at`. People were told first at `told_at`.

    They were reminded last at `reminded_at`, which is `told_at` before the first time. Who they are, the deliveries say.
    """

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, primary_key=True, related_name="next_step")
    due_at = models.DateTimeField(db_index=True)
    told_at = models.DateTimeField()
    reminded_at = models.DateTimeField()

    class Meta:
        db_table = "alert_step"


class AlertGroup(models.Model):
    """Many alerts for one channel as one message (`core.domain.alert_groups`). Invariant: a channel has at most one that is open.

    `revision` is the latest that was told, `posted_revision` the latest that was no edit. The sweep looks at it again at `due_at`.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="alert_groups")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="alert_groups", db_index=False)
    opened_at = models.DateTimeField()
    folded_at = models.DateTimeField()
    due_at = models.DateTimeField()
    revision = models.IntegerField(db_default=0)
    told_at = models.DateTimeField(null=True)
    posts = models.IntegerField(db_default=0)
    posted_revision = models.IntegerField(db_default=0)
    posted_at = models.DateTimeField(null=True)
    last_delivery_id = models.UUIDField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alert_group"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["channel"], condition=models.Q(closed_at__isnull=True), name="alert_group_one_open")
        ]
        indexes: ClassVar = [
            models.Index(fields=["channel"], name="alert_group_channel"),
            models.Index(fields=["due_at"], condition=models.Q(closed_at__isnull=True), name="alert_group_due"),
        ]


class DeliveryState(models.TextChoices):
    """`REQUESTED` waits for a receipt; the other three are final."""

    REQUESTED = "requested"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class Delivery(models.Model):
    """One message of one alert to one channel. Without a receipt by `receipt_due_at` it is requested again, as the next generation.

    One with a `group` is told by that group's messages, from `group_revision` on, and has no request of its own.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="deliveries")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    config_version = models.IntegerField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices)
    generation = models.IntegerField(db_default=1)
    attempts = models.IntegerField(db_default=0)
    requested_at = models.DateTimeField()
    receipt_due_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    error_type = models.CharField(max_length=20, db_default="")
    error = models.TextField(db_default="")
    group = models.ForeignKey(AlertGroup, on_delete=models.SET_NULL, null=True, related_name="deliveries", db_index=False)
    group_revision = models.IntegerField(null=True)

    class Meta:
        db_table = "delivery"
        constraints: ClassVar = [models.UniqueConstraint(fields=["alert", "channel"], name="delivery_once")]
        indexes: ClassVar = [
            models.Index(fields=["receipt_due_at"], condition=models.Q(state="requested"), name="delivery_awaiting_receipt"),
            models.Index(fields=["workspace", "requested_at"], name="delivery_workspace_requested"),
            models.Index(fields=["group"], condition=models.Q(group__isnull=False), name="delivery_group"),
        ]


class Outbox(models.Model):
    """An event that has to reach the bus. Written in the transaction of its cause, deleted once the bus has taken it."""

    id = models.BigAutoField(primary_key=True)
    detail_type = models.CharField(max_length=40)
    detail = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "outbox"
