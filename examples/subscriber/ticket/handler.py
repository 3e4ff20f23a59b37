"""Opens a ticket for an outage: the Lambda of the subscriber. The standard library is all that it needs, so its folder is its package."""

import json
import os
import urllib.request
from typing import Any

TIMEOUT_S = 10


def handle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Post one ticket to `TICKET_URL` for an IncidentOpened event of EventBridge; returns what was posted.

    EventBridge delivers at least once, a replay delivers again, and Lambda repeats a call that failed. The id of the incident is the same
    in all of them, so it is the key by which the ticket system knows a ticket that it has.

    Raises:
        urllib.error.URLError: no answer, or none of 2xx. Lambda tries twice more, then the event lies in the dead-letter queue.
    """
    ticket = ticket_of(event["detail"]["data"])
    post(os.environ["TICKET_URL"], ticket)
    return ticket


def ticket_of(data: dict[str, Any]) -> dict[str, Any]:
    """The ticket about one outage. Fields that a newer version of the event adds play no part."""
    monitor, incident = data["monitor"], data["incident"]
    return {
        "dedup_key": incident["id"],
        "title": f"{monitor['name']} is down: {incident['reason']}",
        "description": f"{monitor['target']}: {incident['detail']}",
        "began_at": incident["began_at"],
    }


def post(url: str, ticket: dict[str, Any]) -> None:
    """Send a ticket. `Idempotency-Key` says the same as `dedup_key`, for systems that look there."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": ticket["dedup_key"]}
    request = urllib.request.Request(url, json.dumps(ticket).encode(), headers)
    urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
