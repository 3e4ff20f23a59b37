"""Writes about alerts; the rest about incidents is written by `core.flows`."""

from datetime import datetime
from uuid import UUID

from core.api.incidents.models import Alert


def alerts_reconsider(*, workspace_id: UUID, now: datetime) -> None:
    """Have the alerts that a workspace holds decided again at the next sweep: what held them may be over.

    Called in the transaction of the change. Holds have an end of their own; this only makes it sooner.
    """
    held = Alert.objects.select_for_update().filter(workspace_id=workspace_id, routed_at__isnull=True, due_at__gt=now)
    ids = list(held.order_by("id").values_list("id", flat=True))
    Alert.objects.filter(id__in=ids, routed_at__isnull=True).update(due_at=now)
