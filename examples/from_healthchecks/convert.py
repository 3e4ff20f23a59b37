"""What a check of Healthchecks is as a heartbeat. Pure.

The fields are those of its management API, version 3; a read-only key is enough to read them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

SLUG_LIMIT: Final = 64
NO_SLUG: Final = re.compile(r"start|fail|log|-?[0-9]+|")
KEYWORDS: Final = {"fail": "failure_kw", "success": "success_kw", "start": "start_kw"}
FILTERS: Final = ("filter_subject", "filter_body", "filter_http_body")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A heartbeat to have: its slug, the body for `PUT heartbeats/by-slug/{slug}/`, and whether it is paused."""

    slug: str
    body: Mapping[str, Any]
    paused: bool


def wanted(checks: Iterable[Mapping[str, Any]]) -> list[Wanted]:
    """The heartbeats for these checks, in their order; of several with one slug the later ones get a number."""
    found: list[Wanted] = []
    taken: set[str] = set()
    for check in checks:
        slug = _free(_slug(check), taken)
        taken.add(slug)
        found.append(Wanted(slug, _body(check, slug), check.get("status") == "paused"))
    return found


def _body(check: Mapping[str, Any], slug: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": check.get("name") or slug,
        "tags": list(dict.fromkeys(str(check.get("tags", "")).split())),
        "grace_s": check["grace"],
        "sticky_pause": bool(check.get("manual_resume")),
        "post_only": check.get("methods") == "POST",
    }
    if "schedule" in check:
        body |= {"schedule": check["schedule"], "time_zone": check["tz"]}
    else:
        body["period_s"] = check["timeout"]
    if any(check.get(name) for name in FILTERS):
        words = {kind: _words(check.get(field, "")) for kind, field in KEYWORDS.items()}
        body["filters"] = words | {"otherwise": "fail" if check.get("filter_default_fail") else "ignore"}
    return body


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _slug(check: Mapping[str, Any]) -> str:
    """The slug that it has, or one made of its name: its jobs may call it by that."""
    text = str(check.get("slug") or check.get("name") or check.get("unique_key") or "").lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", text).strip("-")[:SLUG_LIMIT].strip("-")
    return f"heartbeat-{slug}"[:SLUG_LIMIT].strip("-") if NO_SLUG.fullmatch(slug) else slug


def _free(slug: str, taken: set[str]) -> str:
    found, number = slug, 1
    while found in taken:
        number += 1
        found = f"{slug[: SLUG_LIMIT - 12]}-{number}"
    return found
