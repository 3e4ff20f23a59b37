"""Names of an environment that lead to a region which is gone. Route 53 has no regions, so they can be taken away from outside."""

from collections.abc import Callable
from typing import Any, Final

TYPES: Final = ("A", "AAAA", "MX")


def release(client: Any, zone: str, domain: str, say: Callable[[str], object]) -> list[str]:
    """Delete the records of the web, Grafana, status pages and pings, so that an estate elsewhere can make its own; returns them."""
    ours = {f"{prefix}{domain}." for prefix in ("", "grafana.", "pages.", "ping.")}
    pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    found = [one for page in pages for one in page["ResourceRecordSets"] if one["Name"] in ours and one["Type"] in TYPES]
    if found:
        changes = [{"Action": "DELETE", "ResourceRecordSet": one} for one in found]
        client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes, "Comment": "recovery"})
    for one in found:
        say(f"released {one['Type']} {one['Name']}")
    return [f"{one['Type']} {one['Name']}" for one in found]
