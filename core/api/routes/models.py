"""Which channels are told of what, when, and how often. `core.adapters.store.routes` reads it, too."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.api.accounts.models import Workspace, new_id


class AlertRoute(models.Model):
    """A route of a workspace; the first that matches, by `position` and then by age, decides. An empty list matches everything.

    `steps` and `quiet_hours` are documents (`core.adapters.store.routes`). What they and `monitors` name may have been deleted since: it
    matches nothing and reaches nobody.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="routes", db_index=False)
    name = models.CharField(max_length=100)
    position = models.IntegerField()
    enabled = models.BooleanField(default=True)
    monitors = ArrayField(models.UUIDField(), default=list)
    tags = ArrayField(models.CharField(max_length=50), default=list)
    kinds = ArrayField(models.CharField(max_length=10), default=list)
    topics = ArrayField(models.CharField(max_length=10), default=list)
    severities = ArrayField(models.CharField(max_length=10), default=list)
    steps = models.JSONField()
    repeat_s = models.IntegerField(null=True)
    quiet_hours = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "alert_route"
        indexes: ClassVar = [models.Index(fields=["workspace", "position", "id"], name="alert_route_in_order")]
