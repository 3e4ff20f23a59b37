"""One whole box, started with the command, used as a user would: no fakes, every process real."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from standardwebhooks import Webhook

from core.local import lock
from core.local.journal import read_living
from tests.box import RunningBox, Site, open_folder
from tests.processes import heed_signals, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

INTERVAL_S = 5
CONFIRMATION_S = 1
WEBSITE = {"interval_s": INTERVAL_S, "retry_interval_s": CONFIRMATION_S, "failure_threshold": 2, "timeout_ms": 1000}
PROCESSES = {
    "postgres",
    "valkey",
    "aws",
    "mail",
    "demo",
    "gateway",
    "runner",
    "web",
    "worker",
    "schedule",
    "beat",
    "inbox",
    "supervisor",
}
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo5ODc2NTQ="


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="module")
def box(home: Path) -> Iterator[RunningBox]:
    """A running box with the demo in it; what it printed is in `printed`."""
    running = RunningBox(home)
    try:
        running.printed = running.up()
        running.log_in()
        running.api.patch("alert-grouping/", json={"group_after": 0}).raise_for_status()  # every mail is to be seen by itself
        yield running
    finally:
        running.destroy()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    here = Site()
    yield here
    here.close()


@pytest.fixture(scope="module")
def webhook(box: RunningBox, site: Site) -> str:
    """A webhook channel of the test's own; returns the path that it posts to."""
    box.post("channels/", {"name": "test", "kind": "webhook", "config": {"url": f"{site.url}/hook", "secret": SECRET}})
    return "/hook"


def alerts_about(site: Site, path: str, monitor_id: str) -> list[dict[str, Any]]:
    """The verified webhooks about a monitor, in order of arrival."""
    bodies = [Webhook(SECRET).verify(body, headers) for headers, body in site.hooks(path)]
    return [body for body in bodies if body["data"]["monitor"]["id"] == monitor_id]


def types_of(alerts: list[dict[str, Any]]) -> list[str]:
    return [alert["type"] for alert in alerts]


def subjects_about(box: RunningBox, name: str) -> list[str]:
    return [mail["subject"] for mail in box.mails() if name in mail["subject"]]


def ids_of(box: RunningBox, path: str) -> list[str]:
    return [one["id"] for one in box.get(path)["results"]]


def living(family: set[psutil.Process]) -> list[psutil.Process]:
    """Which of them still run; a zombie that nobody has collected does not."""
    return [process for process in family if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return False


def wait_for_the_end(family: set[psutil.Process]) -> None:
    """Of all by themselves. The slowest is a worker without database and broker: a task may wait for a connection for 30 s, and what it
    does at its end takes up to 9 s more."""
    try:
        wait_for(lambda: living(family) == [], "the end of all", 60)
    except AssertionError as error:
        raise AssertionError([process.cmdline() for process in living(family)]) from error


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    wait_until(condition, timeout_s, what)


def settle(box: RunningBox, incident_id: str) -> list[dict[str, Any]]:
    """All deliveries about an incident, once each of them has its receipt."""
    deliveries: list[dict[str, Any]] = []

    def all_final() -> bool:
        deliveries[:] = box.get("deliveries/", incident=incident_id)["results"]
        return all(one["state"] != "requested" for one in deliveries)

    wait_for(all_final, "receipts")
    return deliveries


def test_the_demo_tells_the_story_in_order(box: RunningBox) -> None:
    story = [
        "is up, checked every 5 s",
        "the target goes down",
        "check failed: http_status 503",
        "incident opened: http_status",
        r"webhook received \(down, signature verified\)",
        "the target comes back",
        "incident resolved",
        r"webhook received \(recovered, signature verified\)",
    ]
    assert re.search(".*".join(story), box.printed, re.DOTALL), box.printed
    assert "mail received: DOWN: Demo website" in box.printed
    assert "mail received: UP: Demo website" in box.printed
    arrived = re.search(r"([\d.]+) s  webhook received \(down", box.printed)
    assert arrived
    assert float(arrived[1]) > 0


def test_the_lines_to_try_work_as_they_are(box: RunningBox) -> None:
    lines = [line.strip() for line in box.printed.split("Try:\n")[1].split("\n\n")[0].splitlines()]
    assert len(lines) == 3
    shell = subprocess.run(["bash", "-euc", "\necho\n".join(lines)], capture_output=True, text=True, check=True)
    _, listed, added = shell.stdout.splitlines()
    assert [website["name"] for website in json.loads(listed)["results"]] == ["Demo website"]
    website = json.loads(added)
    assert website["url"] == "https://example.com/"
    box.api.delete(f"websites/{website['id']}/").raise_for_status()


def test_status_tells_about_every_process(box: RunningBox) -> None:
    status = box.status()
    assert (status["state"], status["ready"]) == ("ready", True)
    assert {process["name"] for process in status["processes"]} == PROCESSES
    for process in status["processes"]:
        assert process["ready"], process
        assert process["pss_bytes"] > 0
        assert psutil.pid_exists(process["pid"])
    assert status["pss_bytes"] == sum(process["pss_bytes"] for process in status["processes"])
    assert httpx.get(status["urls"]["health"], trust_env=False).status_code == 200


def test_a_second_up_says_that_it_runs_and_changes_nothing(box: RunningBox) -> None:
    before = box.pid_of("web")
    printed = box.up()
    assert "running already" in printed
    assert f"http://127.0.0.1:{box.port_base}/api/v1/" in printed
    assert box.pid_of("web") == before


def test_an_outage_reaches_people_once_and_so_does_its_end(box: RunningBox, site: Site, webhook: str) -> None:
    website = box.post("websites/", {**WEBSITE, "name": "Shop", "url": f"{site.url}/shop"})["id"]
    wait_for(lambda: box.get(f"websites/{website}/")["state"] == "up", "the first check")
    site.down.add("/shop")
    began = time.time()
    wait_for(lambda: types_of(alerts_about(site, webhook, website)) == ["alert.down"], "the webhook")
    took = time.time() - began
    site.down.clear()
    wait_for(lambda: len(alerts_about(site, webhook, website)) == 2, "the webhook of the recovery")
    [incident] = box.get("incidents/", monitor=website)["results"]
    deliveries = settle(box, incident["id"])
    assert {(one["state"], one["generation"]) for one in deliveries} == {("delivered", 1)}
    assert sorted((one["alert_type"], one["channel"]["name"]) for one in deliveries) == sorted(
        (alert, channel) for alert in ("down", "recovered") for channel in ("Demo mail", "Demo webhook", "test")
    )
    assert types_of(alerts_about(site, webhook, website)) == ["alert.down", "alert.recovered"]
    assert [subject.split(":")[0] for subject in subjects_about(box, "Shop")] == ["DOWN", "UP"]
    assert incident["reason"] == "http_status"
    assert datetime.fromisoformat(incident["opened_at"]) >= datetime.fromisoformat(incident["began_at"])
    print(f"outage began -> webhook received: {took:.2f} s")  # noqa: T201  (a figure to look at, never asserted)


def test_a_missed_heartbeat_reaches_people_once_and_so_does_its_ping(box: RunningBox, site: Site, webhook: str) -> None:
    heartbeat = box.post("heartbeats/", {"name": "Nightly", "period_s": 10, "grace_s": 1})["id"]
    assert box.ping(heartbeat).text == "OK"
    wait_for(lambda: box.get(f"heartbeats/{heartbeat}/")["state"] == "up", "the ping")
    wait_for(lambda: types_of(alerts_about(site, webhook, heartbeat)) == ["alert.down"], "the alert about the missed ping")
    assert box.ping(heartbeat).text == "OK"
    wait_for(lambda: len(alerts_about(site, webhook, heartbeat)) == 2, "the alert about the recovery")
    box.post(f"heartbeats/{heartbeat}/pause/", {})
    [incident] = box.get("incidents/", monitor=heartbeat)["results"]
    deliveries = settle(box, incident["id"])
    assert incident["reason"] == "heartbeat_missed"
    assert {(one["state"], one["generation"]) for one in deliveries} == {("delivered", 1)}
    assert types_of(alerts_about(site, webhook, heartbeat)) == ["alert.down", "alert.recovered"]
    assert [subject.split(":")[0] for subject in subjects_about(box, "Nightly")] == ["DOWN", "UP"]
    assert [ping["kind"] for ping in box.get(f"heartbeats/{heartbeat}/pings/")["results"]] == ["success", "success"]


def test_the_box_pings_itself_and_its_journal_forgets_that(box: RunningBox) -> None:
    proved = re.compile(r"^uptime_edge_proved_timestamp (?!0\.0)", re.MULTILINE)
    metrics = f"http://127.0.0.1:{box.port_base + 7}/metrics"
    wait_until(
        lambda: bool(proved.search(httpx.get(metrics, trust_env=False, follow_redirects=True).text)),
        what="a ping of our own that was taken",
        timeout_s=60,
    )
    wait_until(lambda: read_living(box.home / "journal") == [], what="an empty journal", timeout_s=30)


def test_edge_sync_finds_nothing_to_do(box: RunningBox) -> None:
    done = box.command("edge", "sync")
    assert done.returncode == 0, done.stderr
    assert "0 rebuilt, " in done.stdout
    assert "0 orphaned heartbeats" in done.stdout


def test_logs_shows_one_process_or_all(box: RunningBox) -> None:
    everything = box.command("logs", "-n", "3").stdout
    assert {line.split()[0] for line in everything.splitlines()} >= {"web", "worker", "aws", "gateway"}
    assert box.command("logs", "aws", "-n", "2").stdout.count("\n") == 2
    assert box.command("logs", "nothing").returncode == 1


def test_a_killed_supervisor_leaves_no_orphan_and_no_harm(box: RunningBox) -> None:
    websites, heartbeats = ids_of(box, "websites/"), ids_of(box, "heartbeats/")
    family = box.family()
    assert len(family) > len(PROCESSES)
    os.kill(lock.holder(box.home / "run"), signal.SIGKILL)
    wait_for_the_end(family)
    assert "check failed" not in box.up()  # the demo is for an empty database
    assert box.status()["ready"]
    assert ids_of(box, "websites/") == websites
    assert [box.ping(heartbeat).status_code for heartbeat in heartbeats] == [200] * len(heartbeats)


def test_a_stop_stops_everything(box: RunningBox) -> None:
    family = box.family()
    done = box.command("down")
    assert done.returncode == 0
    assert living(family) == []
    status = box.command("status", "--json")
    assert status.returncode == 3
    assert json.loads(status.stdout)["state"] == "stopped"
    assert box.command("down").stdout == "Nothing is running.\n"


def test_a_backup_comes_back_as_a_box_that_works(box: RunningBox, home: Path) -> None:
    """It follows a stop: the box it is made of does not run, the one it is restored to has the same ids and keys."""
    file = home.parent / "box.backup"
    assert box.command("backup", str(file)).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    restored, foreground = RunningBox(home.parent / "restored"), None
    try:
        done = restored.command("restore", str(file))
        assert done.returncode == 0, done.stderr
        foreground = subprocess.Popen(
            [sys.executable, "-m", "core.cli", "up", "--foreground"],
            env=restored.environ,
            stdout=subprocess.DEVNULL,
            preexec_fn=heed_signals,  # noqa: PLW1509  (no other thread of ours is running)
        )
        wait_for(lambda: restored.command("status").returncode == 0, "the box in the foreground", 60)
        restored.log_in()
        assert {one["name"] for one in restored.get("websites/")["results"]} == {"Demo website", "Shop"}
        heartbeats = ids_of(restored, "heartbeats/")
        assert [restored.ping(heartbeat).status_code for heartbeat in heartbeats] == [200, 200]
        [mail] = [one["id"] for one in restored.get("channels/")["results"] if one["kind"] == "email"]
        alert = restored.post(f"channels/{mail}/test/", {})["alert"]
        wait_for(
            lambda: [one["state"] for one in restored.get("deliveries/", alert=alert)["results"]] == ["delivered"],
            "the test mail",
        )
        family = restored.family()
        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(20) == 0
        assert living(family) == []
    finally:
        restored.destroy()
        if foreground is not None:
            foreground.wait(20)
