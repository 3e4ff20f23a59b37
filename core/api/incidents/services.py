"""Writes about incidents and alerts; most of what is written about them comes from `core.flows`."""

from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from core.api import edge
from core.api.incidents.models import Alert, AlertStep, Incident
from core.flows import acknowledgements


def incident_acknowledge(*, incident: Incident, by: str, now: datetime) -> None:
    """Note that `by` has taken an incident on; repeating it changes nothing.

    Raises:
        OutageOver: it is resolved.
    """
    with transaction.atomic():
        alerts = acknowledgements.acknowledge(connection.connection, incident.workspace_id, incident.id, by, now)
    edge.task_queue().kick_alerts(alerts)


def incident_take_back(*, incident: Incident, now: datetime) -> None:
    """Note that nobody has taken an incident on any more.

    Raises:
        OutageOver: it is resolved.
    """
    with transaction.atomic():
        alerts = acknowledgements.take_back(connection.connection, incident.workspace_id, incident.id, now)
    edge.task_queue().kick_alerts(alerts)


def alerts_reconsider(*, workspace_id: UUID, now: datetime) -> None:
    """Have what a workspace holds, or is to be told later, decided again at the next sweep: what held it may be over.

    Called in the transaction of the change. Holds have an end of their own; this only makes it sooner.
    """
    held = Alert.objects.select_for_update().filter(workspace_id=workspace_id, routed_at__isnull=True, due_at__gt=now)
    ids = list(held.order_by("id").values_list("id", flat=True))
    Alert.objects.filter(id__in=ids, routed_at__isnull=True).update(due_at=now)
    waiting = AlertStep.objects.select_for_update(of=("self",)).filter(incident__workspace_id=workspace_id, due_at__gt=now)
    incidents = list(waiting.order_by("incident_id").values_list("incident_id", flat=True))
    AlertStep.objects.filter(incident_id__in=incidents).update(due_at=now)
