"""Somebody deletes what the box watches; it is taken back to just before that, and goes on as if nothing had been."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.box import RunningBox, Site, open_folder
from tests.processes import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def box() -> Iterator[RunningBox]:
    with open_folder() as folder:
        running = RunningBox(folder / "home")
        running.environ["UPTIME_ARCHIVE"] = str(folder / "archive")
        try:
            yield running
        finally:
            running.destroy()


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site()
    yield here
    here.close()


def test_what_was_deleted_is_watched_again_and_nobody_is_blamed_for_the_gap(box: RunningBox, site: Site) -> None:
    box.up("--no-demo")
    box.log_in()
    box.post("channels/", {"name": "hook", "kind": "webhook", "config": {"url": f"{site.url}/hook"}})
    website = box.post("websites/", {"name": "Shop", "url": f"{site.url}/shop", "interval_s": 5})["id"]
    heartbeat = box.post("heartbeats/", {"name": "Nightly", "period_s": 60, "grace_s": 60})["id"]
    assert box.ping(heartbeat).status_code == 200
    wait_until(lambda: box.get(f"websites/{website}/")["state"] == "up", 60, "the first check")
    wait_until(lambda: box.get(f"heartbeats/{heartbeat}/")["state"] == "up", 60, "the first ping")
    assert box.command("archive").returncode == 0
    copied_at = datetime.now(UTC)
    wait_until(lambda: checked_at(box, website) > copied_at, 60, "a check after the copy")
    moment = datetime.now(UTC)
    box.api.delete(f"websites/{website}/").raise_for_status()
    box.api.delete(f"heartbeats/{heartbeat}/").raise_for_status()
    assert box.command("down").returncode == 0

    done = box.command("rewind", moment.isoformat())
    assert done.returncode == 0, done.stdout + done.stderr
    kept = Path(done.stdout.partition("as it was before is in ")[2].partition(";")[0])
    assert (kept / "PG_VERSION").exists()

    box.up("--no-demo")
    box.log_in()
    started_at = datetime.now(UTC)
    wait_until(lambda: checked_at(box, website) > started_at, 60, "a check after the rewind")
    assert box.ping(heartbeat).status_code == 200
    wait_until(lambda: pinged_at(box, heartbeat) > moment, 60, "a ping after the rewind")
    assert [box.get(path)["state"] for path in (f"websites/{website}/", f"heartbeats/{heartbeat}/")] == ["up", "up"]
    assert site.hooks("/hook") == []


def checked_at(box: RunningBox, website: str) -> datetime:
    return datetime.fromisoformat(box.get(f"websites/{website}/")["last_check"]["at"])


def pinged_at(box: RunningBox, heartbeat: str) -> datetime:
    return datetime.fromisoformat(box.get(f"heartbeats/{heartbeat}/")["last_ping_at"])
