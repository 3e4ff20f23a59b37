"""The page behind the link in a message by which its reader acknowledges the incident."""

from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core.api import edge
from core.api.channels.models import Channel
from core.api.incidents import services
from core.api.incidents.models import Incident
from core.api.pages import not_ours, page
from core.contracts.incident_links import IncidentLink, opened
from core.domain.acknowledgement import OutageOver


@csrf_exempt  # the link itself is the proof
@require_http_methods(["GET", "HEAD", "POST"])
def acknowledge(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether the reader takes the outage on, or note that they have."""
    now = timezone.now()
    link = opened(edge.vault_cipher(), token)
    incident, channel = _found(link, now)
    if incident is None or channel is None:
        return not_ours()
    if request.method == "POST":
        try:
            services.incident_acknowledge(incident=incident, by=f"{channel.name} ({channel.kind})", now=now)
        except OutageOver as over:
            return page(f"{over} There is nothing left to do.")
        incident.refresh_from_db()
    name = incident.monitor.name
    if incident.resolved_at:
        return page(f"{OutageOver(incident.resolved_at)} There is nothing left to do.")
    if incident.acknowledged_at:
        since = f"{incident.acknowledged_at:%Y-%m-%d %H:%M:%S} UTC"
        return page(f"“{name}” is still down. {incident.acknowledged_by} has taken it on, since {since}.")
    return page(f"“{name}” is down. Take it on?", "Acknowledge")


def _found(link: IncidentLink | None, now: datetime) -> tuple[Incident | None, Channel | None]:
    """The incident and the channel of a link that is good; both are of one workspace."""
    if link is None or now >= link.until:
        return None, None
    incident = Incident.objects.select_related("monitor").filter(pk=link.incident_id).first()
    if incident is None:
        return None, None
    return incident, Channel.objects.filter(pk=link.channel_id, workspace_id=incident.workspace_id).first()
