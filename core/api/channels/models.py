"""Where messages go."""

from typing import ClassVar

from django.db import models

from core.api.accounts.models import Workspace, new_id


class Channel(models.Model):
    """A way to reach people. The configuration is encrypted (`core.contracts.channel_vault`); `summary` is its harmless part.

    While it has `unverified_since`, nobody at its address has answered yet, and no alert goes there. At `paced_until` it may take as many
    messages at once again as its workspace says (`core.domain.alert_groups.Limit`).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="channels")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=20)
    config_version = models.IntegerField(default=1)
    config_ciphertext = models.TextField()
    summary = models.CharField(max_length=200)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.TextField(blank=True, default="")
    unverified_since = models.DateTimeField(null=True)
    verification_attempts = models.SmallIntegerField(default=0, db_default=0)
    paced_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "channel"
        indexes: ClassVar = [models.Index(fields=["workspace", "created_at"], name="channel_workspace_created")]
