"""One whole box while its processes are killed at random: nothing is lost, nothing is made up, and what comes twice is counted."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.box import RunningBox, Site, open_folder
from tests.processes import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

VICTIMS = ("worker", "schedule", "inbox", "runner", "aws", "valkey", "beat")
CHAOS_S = 60.0
PATIENCE_S = 120.0
MOST_FLIPS = 2
"""Of one website: with six changes in half an hour it is flapping, and people are told that instead."""
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo5ODc2NTQ="
WEBSITE = {"interval_s": 5, "retry_interval_s": 1, "failure_threshold": 2, "timeout_ms": 2000}


@pytest.fixture(scope="module")
def box() -> Iterator[RunningBox]:
    """A box with an empty workspace, which asks again for receipts after 15 s."""
    with open_folder() as folder:
        running = RunningBox(folder / "home")
        running.environ["RECEIPT_TIMEOUT_S"] = "15"
        try:
            running.up("--no-demo")
            running.log_in()
            yield running
        finally:
            running.destroy()


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site()
    yield here
    here.close()


class Killer:
    """Kills a process every other second, round by round in a random order."""

    def __init__(self, box: RunningBox, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        self._box = box
        self._random = random.Random(seed)

    def run(self, until: float) -> None:
        """Kill."""
        waiting: list[str] = []
        while time.monotonic() < until:
            waiting = waiting or self._random.sample(VICTIMS, len(VICTIMS))
            victim = waiting.pop()
            with suppress(AssertionError, ProcessLookupError):  # it is being restarted: somebody else next time
                os.kill(self._box.pid_of(victim), signal.SIGKILL)
                self.kills[victim] += 1
            time.sleep(self._random.uniform(1.0, 3.0))


class Flipper:
    """Takes a website down until the API says so, brings it back until the API says so, and goes on with another before it is flapping.

    `flips` are the outages of each website, by its id.
    """

    def __init__(self, box: RunningBox, site: Site, name: str) -> None:
        self.flips: Counter[str] = Counter()
        self._box = box
        self._site = site
        self._name = name
        self._add()

    def run(self, until: float) -> None:
        """Flip; the last flip is brought to its end."""
        self._wait_state("up")
        while time.monotonic() < until:
            if self.flips[self._id] == MOST_FLIPS:
                self._add()
                self._wait_state("up")
            self._site.down.add(self._path)
            self._wait_state("down")
            self._site.down.discard(self._path)
            self._wait_state("up")
            self.flips[self._id] += 1

    def _add(self) -> None:
        self._path = f"/{self._name}-{len(self.flips)}"
        made = self._box.post("websites/", {**WEBSITE, "name": self._path[1:], "url": f"{self._site.url}{self._path}"})
        self._id = str(made["id"])
        self.flips[self._id] = 0

    def _wait_state(self, state: str) -> None:
        """Poll the API."""
        wait_until(lambda: bool(self._box.get(f"websites/{self._id}/")["state"] == state), PATIENCE_S, f"{self._path} {state}")


class Job:
    """Pings its heartbeat every other second and counts what was answered with 200."""

    def __init__(self, box: RunningBox, name: str) -> None:
        self.answered = 0
        self.refused: Counter[str] = Counter()
        self._box = box
        self.id = str(box.post("heartbeats/", {"name": name, "period_s": 10, "grace_s": 3})["id"])

    def run(self, until: float) -> None:
        """Ping."""
        while time.monotonic() < until:
            self.ping()
            time.sleep(2.0)

    def ping(self) -> None:
        """Ping once."""
        try:
            answer = self._box.ping(self.id)
        except httpx.HTTPError as error:
            self.refused[type(error).__name__] += 1
            return
        if answer.status_code == httpx.codes.OK:
            self.answered += 1
        else:
            self.refused[str(answer.status_code)] += 1


def everything(box: RunningBox, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    page = box.get(path, page_size=100, **parameters)
    found = list(page["results"])
    while page["next"]:
        page = box.api.get(page["next"]).raise_for_status().json()
        found += page["results"]
    return found


def wait_for(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, PATIENCE_S, what)


def test_random_kills_lose_nothing_and_make_nothing_up(box: RunningBox, site: Site) -> None:
    box.post("channels/", {"name": "hook", "kind": "webhook", "config": {"url": f"{site.url}/hook", "secret": SECRET}})
    box.post("channels/", {"name": "mail", "kind": "email", "config": {"address": "ops@example.com"}})
    box.api.patch("alert-grouping/", json={"group_after": 0}).raise_for_status()  # every mail is to be seen by itself
    flippers = [Flipper(box, site, name) for name in ("first", "second")]
    steady = [
        str(box.post("websites/", {**WEBSITE, "name": name, "url": f"{site.url}/{name}"})["id"]) for name in ("calm", "still")
    ]
    jobs = [Job(box, name) for name in ("hourly", "nightly")]
    silent = Job(box, "silent")
    for job in (*jobs, silent):
        job.ping()
    seed = random.randrange(10**6)
    killer = Killer(box, seed)
    until = time.monotonic() + CHAOS_S
    over = threading.Event()
    with ThreadPoolExecutor(max_workers=8) as pool:
        keepers = [pool.submit(_keep_pinging, job, over) for job in jobs]
        work = [pool.submit(killer.run, until), *(pool.submit(flipper.run, until) for flipper in flippers)]
        try:
            for one in work:
                one.result()
            _wait_settled(box, flippers, silent)
        finally:
            over.set()
        for keeper in keepers:
            keeper.result()

    report = {"seed": seed, "kills": dict(killer.kills), "flips": dict(sum((flipper.flips for flipper in flippers), Counter()))}
    incidents = everything(box, "incidents/")
    by_monitor = Counter(incident["monitor"]["id"] for incident in incidents)
    assert {job.id for job in jobs}.isdisjoint(by_monitor), f"false missed: {report}"
    assert set(steady).isdisjoint(by_monitor), f"false down: {report}"
    assert {uid: by_monitor[uid] for flipper in flippers for uid, flips in flipper.flips.items() if flips} == report["flips"], (
        report
    )
    assert by_monitor[silent.id] == 1, report
    for job in (*jobs, silent):
        _check_pings(box, job, report)
    _check_messages(box, site, incidents, report)


def _check_pings(box: RunningBox, job: Job, report: dict[str, Any]) -> None:
    """Every ping that was answered is stored, once."""
    wait_for(lambda: len(everything(box, f"heartbeats/{job.id}/pings/")) >= job.answered, "every answered ping")
    stored = everything(box, f"heartbeats/{job.id}/pings/")
    assert len(stored) == len({ping["id"] for ping in stored})
    assert len(stored) <= job.answered + sum(job.refused.values()), f"{job.refused} {report}"


def _keep_pinging(job: Job, over: threading.Event) -> None:
    while not over.wait(2.0):
        job.ping()


def _wait_settled(box: RunningBox, flippers: list[Flipper], silent: Job) -> None:
    """The chaos is over: every incident is told and every delivery has its receipt."""
    wait_for(lambda: len(everything(box, "incidents/", monitor=silent.id)) == 1, "the silent job's incident")
    wanted = 2 * sum(2 * flipper.flips.total() for flipper in flippers) + 2
    wait_for(lambda: len(everything(box, "deliveries/")) == wanted, f"{wanted} deliveries")
    wait_for(lambda: all(one["state"] != "requested" for one in everything(box, "deliveries/")), "all receipts")


def _check_messages(box: RunningBox, site: Site, incidents: list[dict[str, Any]], report: dict[str, Any]) -> None:
    """Each delivery that counts as delivered arrived; each one that did not was overtaken by the end of its incident."""
    deliveries = everything(box, "deliveries/")
    assert len(deliveries) == len({(one["alert"], one["channel"]["id"]) for one in deliveries})
    assert {one["state"] for one in deliveries} <= {"delivered", "superseded"}, report
    hooks = [Webhook(SECRET).verify(body, headers) for headers, body in site.hooks("/hook")]
    arrived = Counter(str(hook["data"]["delivery_id"]) for hook in hooks)
    wanted = {one["id"] for one in deliveries if one["channel"]["name"] == "hook" and one["state"] == "delivered"}
    assert wanted <= set(arrived), report
    assert set(arrived) <= {one["id"] for one in deliveries}
    ended = Counter(hook["data"]["incident"]["id"] for hook in hooks if hook["type"] == "alert.recovered")
    assert set(ended) == {incident["id"] for incident in incidents if incident["resolved_at"]}, report
    mails = Counter(mail["id"] for mail in box.mails())
    wanted_mails = sum(one["channel"]["name"] == "mail" and one["state"] == "delivered" for one in deliveries)
    assert sum(mails.values()) >= wanted_mails, report
    report |= {
        "deliveries": dict(Counter(one["state"] for one in deliveries)),
        "asked_again": sum(one["generation"] > 1 for one in deliveries),
        "webhooks_twice": sum(arrived.values()) - len(arrived),
        "mails_twice": sum(mails.values()) - wanted_mails,
    }
    print(report)  # noqa: T201  (the figures of this test)
