"""The lines of `docs/how-to/ping-from-a-job.md` do what they say, against a receiver; PowerShell and systemd itself are not at hand."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ping_receiver import HEARTBEAT, Receiver

DOCUMENT = Path(__file__).parents[3] / "docs/how-to/ping-from-a-job.md"
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
ID_AT_HOME = "http://127.0.0.1:8001/api/ping/THE-ID"
JOB = "/usr/local/bin/backup"


def blocks(section: str, language: str) -> list[str]:
    """The code of one language in a section of the document."""
    text = DOCUMENT.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = [block["code"] for block in BLOCK.finditer(text) if block["language"] == language]
    assert found, section
    return found


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A job that writes to both of its streams and ends with 3, unless GOOD is set."""
    job = tmp_path / "backup"
    job.write_text('#!/bin/sh\necho "saved $*"; echo trouble >&2\n[ -n "$GOOD" ] || exit 3\n')
    job.chmod(0o755)
    return job


def here(code: str, receiver: Receiver, job: Path) -> str:
    """With our receiver and our job in the places of those in the document."""
    ping_url = f"{receiver.url}/api/ping/{HEARTBEAT}"
    return (
        code.replace(ID_AT_HOME, ping_url)
        .replace(JOB, str(job))
        .replace("THE-ID", HEARTBEAT)
        .replace("http://127.0.0.1:8001", receiver.url)
    )


def run(code: str, shell: str = "sh", **environ: str) -> subprocess.CompletedProcess[str]:
    """A script, with the checkout's commands on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [shell, "-c", code], env={"PATH": path, **environ}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("good", [True, False])
def test_shell(receiver: Receiver, backup: Path, good: bool) -> None:
    [code] = blocks("Shell", "bash")
    done = run(here(code, receiver, backup), "bash", GOOD="1" if good else "")

    assert (done.returncode, done.stdout, done.stderr) == (0 if good else 3, "saved \ntrouble\n", "")
    assert receiver.actions == ["start", "0" if good else "3"]
    assert receiver.pings[0].rid == receiver.pings[1].rid is not None
    assert receiver.pings[1].body == b"saved \ntrouble"


def test_shell_ends_as_the_job_when_nobody_answers(backup: Path) -> None:
    [code] = blocks("Shell", "bash")
    nowhere = (
        code.replace(ID_AT_HOME, "http://127.0.0.1:1/api/ping/x").replace(JOB, str(backup)).replace("--retry 5", "--retry 1")
    )

    assert run(nowhere, "bash").returncode == 3


def test_the_command(receiver: Receiver, backup: Path) -> None:
    [code] = blocks("With the `uptimemonitor` command", "sh")
    done = run(here(code, receiver, backup))

    assert (done.returncode, done.stdout) == (3, "saved --full\n")
    assert receiver.actions == ["start", "3"]


def test_cron(receiver: Receiver, backup: Path) -> None:
    for code in blocks("Cron", "text"):
        variable, line = here(code, receiver, backup).splitlines()
        name, value = variable.split("=")
        run(line.split(maxsplit=5)[5], **{name: value})

    assert receiver.actions == ["3", "start", "3"]


@pytest.mark.parametrize(("status", "action"), [("0", "0"), ("3", "3"), ("TERM", "fail")])
def test_what_systemd_runs(receiver: Receiver, backup: Path, status: str, action: str) -> None:
    unit, template = blocks("systemd", "ini")
    settings = dict(line.split("=", 1) for line in here(unit, receiver, backup).splitlines() if "=" in line)
    name, value = settings["Environment"].split("=", 1)
    for setting in ("ExecStartPre", "ExecStopPost"):
        words = shlex.split(settings[setting].removeprefix("-").replace("${PING}", value))
        subprocess.run(words, env={"PATH": os.environ["PATH"], name: value, "EXIT_STATUS": status}, check=True)
    failing = here(template, receiver, backup).partition("ExecStart=")[2].replace("%i", HEARTBEAT)
    subprocess.run(shlex.split(failing), check=True)

    assert receiver.actions == ["start", action, "fail"]


@pytest.mark.parametrize(
    ("work", "actions", "body"),
    [("print('the job')", ["start", ""], b"done"), ("1 / 0", ["start", "fail"], b"ZeroDivisionError")],
)
def test_python(receiver: Receiver, backup: Path, work: str, actions: list[str], body: bytes) -> None:
    [code] = blocks("Python", "python")
    program = here(code, receiver, backup).replace('print("the job")', work)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)

    assert done.returncode == (1 if "fail" in actions else 0)
    assert receiver.actions == actions
    assert receiver.pings[0].rid == receiver.pings[1].rid is not None
    assert body in receiver.pings[1].body


@pytest.mark.parametrize(("status", "action"), [("success", "0"), ("failure", "fail"), ("cancelled", "fail")])
def test_github_actions(receiver: Receiver, backup: Path, status: str, action: str) -> None:
    [code] = blocks("GitHub Actions", "yaml")
    job = yaml.safe_load(code)["jobs"]["nightly"]
    first, *_, last = [step["run"] for step in job["steps"]]
    assert job["steps"][-1]["if"] == "always()"
    for script in (first, last):
        run(script.replace("${{ job.status }}", status), "bash", PING=f"{receiver.url}/api/ping/{HEARTBEAT}")

    assert receiver.actions == ["start", action]
    assert receiver.pings[1].body == status.encode()


def test_kubernetes(receiver: Receiver, backup: Path) -> None:
    [code] = blocks("Kubernetes CronJob", "yaml")
    manifest = yaml.safe_load(code)
    [container] = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    [script] = container["args"]
    assert (manifest["kind"], container["command"]) == ("CronJob", ["/bin/sh", "-c"])
    done = run(here(script, receiver, backup), PING=f"{receiver.url}/api/ping/{HEARTBEAT}")

    assert (done.returncode, done.stdout) == (3, "saved \ntrouble\n")
    assert receiver.actions == ["start", "3"]
    assert receiver.pings[0].rid == receiver.pings[1].rid is not None
