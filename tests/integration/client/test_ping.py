"""`uptimemonitor ping`: one ping, and an exit status that says whether it is recorded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.client.conftest import Command
from tests.ping_receiver import HEARTBEAT, Receiver, ping_receiver

RID = "6f1cfd1e-7c55-4a0e-8c70-0d6b8f0a4b11"


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ([], ""),
        (["--start"], "start"),
        (["--fail"], "fail"),
        (["--log"], "log"),
        (["--exit-status", "0"], "0"),
        (["--exit-status", "-1073741819"], "-1073741819"),
    ],
)
def test_each_kind_of_ping(command: Command, receiver: Receiver, options: list[str], action: str) -> None:
    done = command.run("ping", "--heartbeat", HEARTBEAT, "--rid", RID, "--body", "grüße", *options)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    [ping] = receiver.pings
    assert (ping.method, ping.action, ping.rid, ping.body.decode()) == ("POST", action, RID, "grüße")


@pytest.mark.parametrize(
    ("heartbeat", "path"),
    [
        (HEARTBEAT, f"/api/ping/{HEARTBEAT}/"),
        (HEARTBEAT.upper(), f"/api/ping/{HEARTBEAT.upper()}/"),
        ("Key_-1/nightly-backup_2", "/api/ping/Key_-1/nightly-backup_2/"),
        ("{url}/elsewhere/{uuid}/", f"/elsewhere/{HEARTBEAT}/"),
        ("{url}/elsewhere/{uuid}", f"/elsewhere/{HEARTBEAT}/"),
    ],
)
def test_a_heartbeat_has_three_names(command: Command, receiver: Receiver, heartbeat: str, path: str) -> None:
    done = command.run("ping", "--heartbeat", heartbeat.format(url=receiver.url, uuid=HEARTBEAT))

    assert done.returncode == 0, done.stderr
    assert [ping.path for ping in receiver.pings] == [path]


def test_the_body_may_come_from_a_file_or_from_the_input(command: Command, receiver: Receiver, tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.write_bytes(b"\x00\xff" * 10)
    command.run("ping", "--heartbeat", HEARTBEAT, "--body-file", str(report))
    command.run("ping", "--heartbeat", HEARTBEAT, "--body-file", "-", given=b"piped")

    assert [ping.body for ping in receiver.pings] == [b"\x00\xff" * 10, b"piped"]


def test_a_ping_that_is_not_recorded_is_1_and_says_why(command: Command, receiver: Receiver) -> None:
    receiver.answers = [404]
    done = command.run("ping", "--heartbeat", HEARTBEAT)

    assert done.returncode == 1
    assert done.stderr.strip() == b"uptimemonitor: the ping was not recorded: the gateway answered 404 Not Found"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--heartbeat", "nonsense"],
        ["--heartbeat", HEARTBEAT, "--start", "--fail"],
        ["--heartbeat", HEARTBEAT, "--exit-status", "x"],
        ["--heartbeat", HEARTBEAT, "--exit-status", str(2**32)],
        ["--heartbeat", HEARTBEAT, "--timeout", "0"],
        ["--heartbeat", HEARTBEAT, "--body-file", "/there/is/no/such/file"],
        ["--heartbeat", "http://127.0.0.1:1/x?create=1"],
        [],
    ],
)
def test_wrong_usage_is_2_and_sends_nothing(command: Command, receiver: Receiver, arguments: list[str]) -> None:
    done = command.run("ping", *arguments)

    assert (done.returncode, receiver.pings) == (2, [])
    assert done.stderr


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_gateway_that_has_moved_gets_the_same_ping(command: Command, receiver: Receiver, status: int) -> None:
    with ping_receiver() as moved:
        receiver.answers = [status]
        receiver.headers = {"Location": f"{moved.url}/api/ping/{HEARTBEAT}/fail/"}
        done = command.run("ping", "--heartbeat", HEARTBEAT, "--fail", "--body", "output")

    assert done.returncode == 0, done.stderr
    [ping] = moved.pings
    assert (ping.method, ping.action, ping.body) == ("POST", "fail", b"output")
    assert ping.headers["host"] == f"127.0.0.1:{moved.port}"


def test_a_proxy_from_the_environment_is_used(command: Command, receiver: Receiver) -> None:
    done = command.run("ping", "--heartbeat", f"http://ping.test/api/ping/{HEARTBEAT}", env={"http_proxy": receiver.url})

    assert done.returncode == 0, done.stderr
    assert receiver.pings[0].headers["host"] == "ping.test"


def test_the_commands_of_jobs_load_nothing_of_the_box_and_no_library(command: Command, receiver: Receiver) -> None:
    """What runs with a job every minute starts quickly: the modules are counted, because a clock would measure the machine."""
    program = """
import json, sys, core.cli
status = core.cli.main(sys.argv[1:])
json.dump([status, [name for name in sys.modules if getattr(sys.modules[name], "__file__", None)]], sys.stdout)
"""
    argv = [sys.executable, "-c", program, "run", "--heartbeat", HEARTBEAT, "--", "true"]
    done = subprocess.run(argv, env=command.environ, capture_output=True, check=True)
    status, loaded = json.loads(done.stdout)

    assert status == 0
    assert receiver.actions == ["start", "0"]
    assert {name.split(".")[0] for name in loaded} & {
        "httpx",
        "boto3",
        "botocore",
        "celery",
        "django",
        "psycopg",
        "redis",
    } == set()
    assert sorted(name for name in loaded if name.startswith("core.") and not name.startswith("core.client")) == ["core.cli"]
