"""What the commands print. Everything a user reads in a terminal is worded here."""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from core.contracts.lines import one_line
from core.local.home import Home
from core.local.secrets import DEMO_EMAIL, BoxSecrets
from core.local.settings import BoxSettings
from core.local.state import BoxState, Phase
from core.local.status import BoxStatus, urls

if TYPE_CHECKING:  # it brings boto3
    from core.adapters.dead_letters import DeadLetter
    from core.domain.alert_history import History

BODY_SHOWN = 200
SUBJECT_SHOWN = 40
LABELS = {"REST API": "api", "OpenAPI": "schema", "Health": "health", "Metrics": "metrics", "Pings": "ping", "Mail": "mail"}
SMALL = "One box is for development, evaluation and small installations: up to about 10 pings a second."


def say(text: str = "") -> None:
    """A line to people."""
    print(text, flush=True)


def complain(text: str) -> None:
    """A line about what went wrong."""
    print(text, file=sys.stderr, flush=True)


def announce(settings: BoxSettings, place: Home, already: BoxState | None) -> None:
    """What is about to happen."""
    if already:
        say(f"Uptime Monitor is running already (in {settings.home}).")
        return
    say(f"Starting Uptime Monitor in {settings.home}")
    if place.is_elsewhere and settings.database_url is None:
        say(f"  note: the account that runs PostgreSQL cannot enter {settings.home}, so the database is in {place.data}")


class StartProgress:
    """Prints each process once, when it becomes ready, with the time since the start."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._shown: set[str] = set()
        self._began = time.monotonic()

    def __call__(self, box: BoxState) -> None:
        """Show what is new in `box`."""
        for process in box.processes:
            if process.name not in self._shown and process.phase in {Phase.READY, Phase.DONE} and not self._silent:
                self._shown.add(process.name)
                say(f"  {process.name:<10} {process.phase:<6} {time.monotonic() - self._began:5.1f} s")


def show_ready(box: BoxState) -> None:
    """The box is up."""
    took = (box.ready_at or box.started_at) - box.started_at
    say(f"Ready in {took:.1f} s, {len(box.processes)} processes. {SMALL}")


def show_access(settings: BoxSettings, box_secrets: BoxSecrets, *, has_demo_user: bool) -> None:
    """URLs, the login, three commands to try."""
    found = urls(settings)
    say()
    for label, name in LABELS.items():
        say(f"  {label:<9} {found[name]}")
    if has_demo_user:
        say(f"  Login     {DEMO_EMAIL} / {box_secrets.demo_password}")
    say()
    say("Try:")
    for line in curl_lines(settings, box_secrets, has_demo_user=has_demo_user):
        say(f"  {line}")
    say()
    say("`uptimemonitor status` shows the processes, `uptimemonitor logs` what they say, `make down` stops them.")


def curl_lines(settings: BoxSettings, box_secrets: BoxSecrets, *, has_demo_user: bool) -> list[str]:
    """Log in, list the websites, add one (without the demo's user: register first); each works when pasted, in this order."""
    api = urls(settings)["api"]
    as_json = "-H 'Content-Type: application/json'"
    bearer = '-H "Authorization: Bearer $TOKEN"'
    account = f"""'{{"email": "{DEMO_EMAIL}", "password": "{box_secrets.demo_password}"}}'"""
    website = """'{"name": "Example", "url": "https://example.com/"}'"""
    read_access = """sed 's/.*"access": *"\\([^"]*\\)".*/\\1/'"""
    lines = [
        f"TOKEN=$(curl -s {as_json} -d {account} {api}auth/login/ | {read_access})",
        f"curl -s {bearer} {api}websites/",
        f"curl -s {bearer} {as_json} -d {website} {api}websites/",
    ]
    if has_demo_user:
        return lines
    return [f"curl -s {as_json} -d {account} {api}auth/register/", lines[0], lines[2]]


def show_status(status: BoxStatus) -> None:
    """A table of processes."""
    say(f"{status.state}  {status.home}")
    if not status.processes:
        return
    say(f"{'process':<11}{'state':<10}{'pid':>8}{'uptime':>10}{'restarts':>10}{'memory':>10}{'cpu':>9}  ports")
    for one in status.processes:
        ports = ", ".join(map(str, one.ports))
        uptime = f"{one.uptime_s:.0f} s" if one.uptime_s is not None else "-"
        memory = f"{one.pss_bytes / 2**20:.0f} MB"
        say(
            f"{one.name:<11}{one.state:<10}{one.pid or '-':>8}{uptime:>10}{one.restarts:>10}{memory:>10}{one.cpu_s:>7.1f} s  {ports}"
        )
    say(f"{'all':<39}{status.pss_bytes / 2**20:>17.0f} MB")
    say()
    for name, url in status.urls.items():
        say(f"  {name:<9} {url}")


def show_sync(counts: Mapping[str, int]) -> None:
    """What an `edge sync` found and did."""
    say(", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items()))


def show_letter_counts(counts: Mapping[str, int]) -> None:
    """How many dead letters each queue has."""
    for noun, count in counts.items():
        say(f"{noun:<9} {count:>6}")
    if any(counts.values()):
        say("`uptimemonitor redrive QUEUE --dry-run` shows them, without --dry-run it moves them back.")


def show_letters(letters: "Sequence[DeadLetter]") -> None:
    """One line for each, and the beginning of what it says."""
    for letter in letters:
        say(f"{letter.message_id}  sent {letter.sent_at:%Y-%m-%d %H:%M:%S} UTC, received {letter.received} times")
        say(f"    {one_line(letter.body[:BODY_SHOWN])}")
    say(f"{len(letters)} shown, none moved.")


def show_history(history: "History") -> None:
    """A line for each step: when, what, of what, and the sentence. Names and errors are other people's: they stay within their line."""
    say(f"incident {history.incident_id} of {one_line(history.monitor)}, times in UTC")
    steps = [(step, one_line(step.subject)) for step in history.steps]
    width = min(max((len(subject) for _, subject in steps), default=0), SUBJECT_SHOWN)
    for step, subject in steps:
        say(f"{step.at:%Y-%m-%d %H:%M:%S}  {step.what:<11}  {subject:<{width}}  {one_line(step.text)}")


def show_step(at: datetime, since_outage_s: float | None, text: str) -> None:
    """One line of the demo's timeline."""
    since = f"{since_outage_s:6.1f} s" if since_outage_s is not None else " " * 8
    say(f"  {at:%H:%M:%S}  {since}  {text}")
