"""Where Django looks for the models of this app; each feature defines its own."""

from core.api.accounts.models import ApiKey, Membership, User, Workspace
from core.api.channels.models import Channel
from core.api.incidents.models import Alert, AlertGroup, AlertStep, Delivery, Incident, Outbox
from core.api.maintenance.models import MaintenanceWindow
from core.api.monitors.models import (
    Certificate,
    CheckResult,
    Domain,
    Heartbeat,
    HeartbeatState,
    Monitor,
    Ping,
    Website,
    WebsiteState,
)
from core.api.routes.models import AlertRoute

__all__ = [
    "Alert",
    "AlertGroup",
    "AlertRoute",
    "AlertStep",
    "ApiKey",
    "Certificate",
    "Channel",
    "CheckResult",
    "Delivery",
    "Domain",
    "Heartbeat",
    "HeartbeatState",
    "Incident",
    "MaintenanceWindow",
    "Membership",
    "Monitor",
    "Outbox",
    "Ping",
    "User",
    "Website",
    "WebsiteState",
    "Workspace",
]
