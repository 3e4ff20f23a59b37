"""A whole box with deadly steps (`tests.faults.failing_box`), a website for each outage, and one receiver of webhooks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from standardwebhooks import Webhook

from core.local import state
from core.local.state import Phase
from tests.box import RunningBox, Site, open_folder
from tests.faults import failpoints
from tests.faults.servers import Database, running_database
from tests.waiting import until

ROOT: Final = Path(__file__).parents[2]
SECRET: Final = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo5ODc2NTQ="
WEBSITE: Final = {"interval_s": 5, "retry_interval_s": 1, "failure_threshold": 1, "timeout_ms": 1000}
RECEIPT_TIMEOUT_S: Final = 5
PATIENCE_S: Final = 90.0


class AlertStage:
    """The box, what it watches and whom it tells."""

    def __init__(self, box: RunningBox, site: Site, database: Database, folder: Path) -> None:
        self.box = box
        self.site = site
        self.database = database
        self._folder = folder
        self._websites: dict[str, str] = {}
        self._verified: list[dict[str, Any]] = []

    def watch(self, name: str) -> None:
        """Watch a website."""
        made = self.box.post("websites/", {**WEBSITE, "name": name, "url": f"{self.site.url}/{name}"})
        self._websites[name] = str(made["id"])

    def outage(self, name: str) -> None:
        """Watch a website that is down."""
        self.site.down.add(f"/{name}")
        self.watch(name)

    def state_of(self, name: str) -> str:
        """What the API says about a website."""
        return str(self.box.get(f"websites/{self._websites[name]}/")["state"])

    def arm(self, step: str, concerning: str = "") -> None:
        """See `failpoints.arm`."""
        failpoints.arm(self._folder, step, concerning)

    def wait_struck(self) -> None:
        """Until what was armed has killed."""
        until(lambda: failpoints.struck(self._folder), PATIENCE_S, 0.1)

    def trace(self) -> list[str]:
        """Every step that was passed so far."""
        return (self._folder / failpoints.TRACE).read_text().splitlines()

    def kill(self, process: str) -> None:
        """As `kill -9` does."""
        os.kill(self.box.pid_of(process), signal.SIGKILL)

    def deliveries(self, name: str, alert_type: str = "down") -> list[dict[str, Any]]:
        """The messages about a website that were asked for, as the API shows them."""
        page = self.box.get("deliveries/", page_size=100)
        found = list(page["results"])
        while page["next"]:
            page = self.box.api.get(page["next"]).raise_for_status().json()
            found += page["results"]
        return [one for one in found if one["alert_type"] == alert_type and one["monitor"]["id"] == self._websites[name]]

    def wait_told(self, name: str, alert_type: str = "down") -> None:
        """Until the one message about a website has its receipt."""

        def told() -> bool:
            self.messages()
            asked = self.deliveries(name, alert_type)
            assert len(asked) <= 1, asked
            return [one["state"] for one in asked] == ["delivered"]

        until(told, PATIENCE_S, 0.25)

    def messages(self) -> list[dict[str, Any]]:
        """What the receiver got, in order; each one is verified as receivers do, who refuse what is older than five minutes."""
        new = self.site.hooks("/hook")[len(self._verified) :]
        self._verified += [Webhook(SECRET).verify(body, headers) for headers, body in new]
        return self._verified

    def heard(self, name: str) -> list[str]:
        """The types of the messages about a website, in order of arrival."""
        return [str(one["type"]) for one in self.messages() if one["data"]["monitor"]["name"] == name]

    def incidents(self, name: str) -> list[str]:
        """Why a website went down, each time that it did."""
        found = self.box.get("incidents/", page_size=100)["results"]
        return [f"{one['reason']}: {one['detail']}" for one in found if one["monitor"]["name"] == name]


@contextmanager
def alert_stage() -> Iterator[AlertStage]:
    """A box with an empty workspace and one channel, which asks again for receipts after five seconds."""
    with open_folder() as folder, running_database(_made(folder / "postgres")) as database:
        failing, box, site = _made(folder / "failpoints"), RunningBox(folder / "home"), Site()
        box.environ |= {
            "DATABASE_URL": database.server.dsn(),
            "RECEIPT_TIMEOUT_S": str(RECEIPT_TIMEOUT_S),
            failpoints.FOLDER: str(failing),
        }
        with (folder / "box.log").open("wb") as log:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.failing_box"], cwd=ROOT, env=box.environ, stdout=log, stderr=log
            )
        try:
            until(lambda: supervisor.poll() is not None or _is_ready(box), PATIENCE_S, 0.1)
            assert supervisor.poll() is None, (folder / "box.log").read_text()
            box.log_in()
            box.post("channels/", {"name": "hook", "kind": "webhook", "config": {"url": f"{site.url}/hook", "secret": SECRET}})
            yield AlertStage(box, site, database, failing)
        finally:
            box.destroy()
            supervisor.wait(30)
            site.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _is_ready(box: RunningBox) -> bool:
    seen = state.read(box.home / "run")
    return seen is not None and seen.phase is Phase.READY
