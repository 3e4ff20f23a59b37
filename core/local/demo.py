"""The demo: a website goes down and comes back, watched through the REST API, the webhook receiver and the mail catcher.

It uses the box as any user would. What it shows is what the API and the receivers say happened, with their times; what does not
happen in time is told as it is.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg

from core.local import accounts
from core.local.box import Box
from core.local.secrets import DEMO_EMAIL
from core.local.settings import printable_host

PATIENCE_S = 30.0
POLL_S = 0.1
WEBSITE = {"name": "Demo website", "interval_s": 5, "retry_interval_s": 1, "failure_threshold": 2, "timeout_ms": 2000}
SUBJECTS = {"down": "DOWN", "recovered": "UP"}
HEARTBEAT = {"name": "Demo job", "period_s": 86_400, "grace_s": 3600}


class DemoFailed(Exception):
    """Something that should have happened did not; the message says what."""


type Show = Callable[[datetime, float | None, str], None]
"""Shows a line of the timeline: when it happened, how long after the outage began (None before it), what."""


def run(box: Box, show: Show, complain: Callable[[str], None], *, only_if_empty: bool) -> bool:
    """Set the demo up, and show an outage and a recovery. False (and an honest line) if it did not come to its end."""
    if only_if_empty and accounts.count(box.database_url):
        return True
    try:
        with _open(box) as demo:
            demo.set_up()
            _outage(demo, show)
    except (DemoFailed, httpx.HTTPError, psycopg.Error) as error:
        complain(f"demo: {str(error) or type(error).__name__}; `uptimemonitor logs` may tell why")
        return False
    return True


def _outage(demo: "Demo", show: Show) -> None:
    began: datetime | None = None

    def tell(at: datetime, text: str) -> None:
        show(at, (at - began).total_seconds() if began else None, text)

    website = demo.wait("the first check", lambda: demo.website(state="up"))
    tell(_time(website["last_check"]["at"]), f"{website['url']} is up, checked every {website['interval_s']} s")
    began = demo.switch(up=False)
    tell(began, "the target goes down")
    failed = demo.wait("a failed check", lambda: demo.failed_check(began))
    tell(_time(failed["at"]), f"check failed: {failed['reason']} {failed['status_code'] or ''}")
    incident = demo.wait("an incident", lambda: demo.incident(began, is_open=True))
    tell(_time(incident["opened_at"]), f"confirmed by a second check, incident opened: {incident['reason']}")
    for at, text in demo.deliveries("down", began):
        tell(at, text)
    tell(demo.switch(up=True), "the target comes back")
    resolved = demo.wait("the recovery", lambda: demo.incident(began, is_open=False))
    tell(_time(resolved["resolved_at"]), "check succeeded, incident resolved")
    for at, text in demo.deliveries("recovered", began):
        tell(at, text)


class Demo:
    """One conversation with the box."""

    def __init__(self, box: Box, http: httpx.Client) -> None:
        host = printable_host(box.settings.bind)
        self._box = box
        self._http = http
        self._api = f"http://{host}:{box.settings.ports.web}/api/v1/"
        self._gateway = f"http://{host}:{box.settings.ports.gateway}"
        self._website_id = ""

    def set_up(self) -> None:
        """Register or log in, and make what is missing: two channels, a website, a heartbeat that is pinged once."""
        credentials = {"email": DEMO_EMAIL, "password": self._box.secrets.demo_password}
        if not accounts.exists(self._box.database_url, DEMO_EMAIL):
            self._post("auth/register/", {**credentials, "name": "Demo"})
        tokens = self._post("auth/login/", credentials)
        self._http.headers["Authorization"] = f"Bearer {tokens['access']}"
        self.switch(up=True)
        secret = self._box.secrets.demo_webhook_secret
        self._http.put(f"{self._box.demo_url}/secret", json={"secret": secret}).raise_for_status()
        if website := self._find("websites/", str(WEBSITE["name"])):
            self._website_id = website["id"]
            return
        self._post("channels/", {"name": "Demo mail", "kind": "email", "config": {"address": DEMO_EMAIL}})
        webhook = {"url": f"{self._box.demo_url}/hook", "secret": secret}
        self._post("channels/", {"name": "Demo webhook", "kind": "webhook", "config": webhook})
        heartbeat = self._post("heartbeats/", HEARTBEAT)
        self._http.get(f"{self._gateway}/api/ping/{heartbeat['id']}/").raise_for_status()
        self._website_id = self._post("websites/", {**WEBSITE, "url": f"{self._box.demo_url}/"})["id"]

    def switch(self, *, up: bool) -> datetime:
        """Take the target down or up; returns when."""
        self._http.put(f"{self._box.demo_url}/state", json={"up": up}).raise_for_status()
        return datetime.now(UTC)

    def website(self, *, state: str) -> dict[str, Any] | None:
        """The website, once it is in `state`."""
        website = self._get(f"websites/{self._website_id}/")
        return website if website["state"] == state else None

    def failed_check(self, since: datetime) -> dict[str, Any] | None:
        """The first failed check after `since`."""
        results = self._get(f"websites/{self._website_id}/results/")["results"]
        failed = [one for one in results if _time(one["at"]) >= since and one["outcome"] == "down"]
        return min(failed, key=lambda one: str(one["at"])) if failed else None

    def incident(self, since: datetime, *, is_open: bool) -> dict[str, Any] | None:
        """The incident of this outage, once it is open, or closed."""
        incidents = self._get(f"incidents/?monitor={self._website_id}")["results"]
        wanted = [one for one in incidents if _time(one["opened_at"]) >= since and (one["resolved_at"] is None) is is_open]
        return wanted[0] if wanted else None

    def deliveries(self, alert_type: str, since: datetime) -> Iterator[tuple[datetime, str]]:
        """Arrival of the webhook and of the mail, in the order in which they arrived."""
        hook = self.wait(f"the webhook about {alert_type}", lambda: self._hook(alert_type, since))
        mail = self.wait(f"the mail about {alert_type}", lambda: self._mail(alert_type, since))
        verified = "signature verified" if hook["verified"] else "signature not verified"
        yield from sorted(
            [
                (_time(hook["arrived_at"]), f"webhook received ({alert_type}, {verified})"),
                (_time(mail["received_at"]), f"mail received: {mail['subject']}"),
            ]
        )

    def wait[T](self, what: str, look: Callable[[], T | None]) -> T:
        """Poll until `look` finds something."""
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            if (found := look()) is not None:
                return found
            time.sleep(POLL_S)
        raise DemoFailed(f"waited {PATIENCE_S:.0f} s in vain for {what}")

    def _hook(self, alert_type: str, since: datetime) -> dict[str, Any] | None:
        hooks = self._http.get(f"{self._box.demo_url}/hooks").raise_for_status().json()
        return next((one for one in hooks if _time(one["arrived_at"]) >= since and alert_type in str(one["body"]["type"])), None)

    def _mail(self, alert_type: str, since: datetime) -> dict[str, Any] | None:
        messages = self._http.get(f"{self._box.mail_url}/messages").raise_for_status().json()
        wanted = [
            one for one in reversed(messages) if _time(one["received_at"]) >= since and str(WEBSITE["name"]) in one["subject"]
        ]
        position = 0 if alert_type == "down" else 1
        return wanted[position] if len(wanted) > position else None

    def _find(self, path: str, name: str) -> dict[str, Any] | None:
        return next((one for one in self._get(path)["results"] if one["name"] == name), None)

    def _get(self, path: str) -> dict[str, Any]:
        return _json(self._http.get(self._api + path))

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _json(self._http.post(self._api + path, json=body))


@contextmanager
def _open(box: Box) -> Iterator[Demo]:
    with httpx.Client(timeout=10, trust_env=False) as http:
        yield Demo(box, http)


def _json(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise DemoFailed(f"{answer.request.method} {answer.request.url} answered {answer.status_code}: {answer.text[:300]}")
    body: dict[str, Any] = answer.json()
    return body


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
