"""Have a heartbeat here for each check of a project of Healthchecks; `README.md` says how."""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any, Final

from examples.from_healthchecks.convert import Wanted, wanted

TIMEOUT_S: Final = 30.0


def main() -> int:
    """Show what would be done, or do it with `--apply`; 0 if all of it can be, or was."""
    source = os.environ.get("HEALTHCHECKS_URL", "https://healthchecks.io").rstrip("/")
    checks = _call(f"{source}/api/v3/checks/", {"X-Api-Key": os.environ["HEALTHCHECKS_KEY"]})["checks"]
    failed = 0
    for heartbeat in wanted(checks):
        try:
            result = _have(heartbeat) if "--apply" in sys.argv[1:] else json.dumps(heartbeat.body)
            sys.stdout.write(f"{heartbeat.slug}: {result}\n")
        except urllib.error.HTTPError as error:
            failed += 1
            sys.stderr.write(f"{heartbeat.slug}: {error.code} {_detail(error)}\n")
    return 1 if failed else 0


def _have(heartbeat: Wanted) -> str:
    """Create or change one; its ping URL."""
    api, key = os.environ["UPTIME_API"].rstrip("/"), {"Authorization": f"Bearer {os.environ['UPTIME_KEY']}"}
    made = _call(f"{api}/heartbeats/by-slug/{heartbeat.slug}/", key, "PUT", heartbeat.body)
    if heartbeat.paused:
        _call(f"{api}/heartbeats/{made['id']}/pause/", key, "POST", {})
    return str(made["ping_url"])


def _call(url: str, headers: dict[str, str], method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers | {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def _detail(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, LookupError, TypeError):
        return text[:200]


if __name__ == "__main__":
    sys.exit(main())
