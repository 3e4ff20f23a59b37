"""Reads about incidents, alerts and deliveries."""

from django.db import connection
from django.db.models import QuerySet

from core.api.accounts.models import Workspace
from core.api.incidents.models import Alert, Delivery, Incident
from core.domain.alert_history import History
from core.flows.histories import incident_history as history_of


def incident_list(*, workspace: Workspace) -> QuerySet[Incident]:
    """The incidents of a workspace with their monitors."""
    return Incident.objects.select_related("monitor").filter(workspace=workspace)


def alert_list(*, workspace: Workspace) -> QuerySet[Alert]:
    """The alerts of a workspace with their monitors."""
    return Alert.objects.select_related("monitor").defer("facts").filter(workspace=workspace)


def delivery_list(*, workspace: Workspace) -> QuerySet[Delivery]:
    """The deliveries of a workspace with their alerts, monitors and channels, without what is encrypted."""
    deliveries = Delivery.objects.select_related("alert__monitor", "channel")
    return deliveries.defer("channel__config_ciphertext", "alert__facts").filter(workspace=workspace)


def incident_history(*, incident: Incident) -> History:
    """Why each message about an incident was sent or was not. Dead letters are not among it: the API cannot read the queues."""
    connection.ensure_connection()
    found = history_of(connection.connection, incident.id)
    assert found, "it was read a moment ago"
    return found
