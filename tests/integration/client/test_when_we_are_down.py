"""The gateway hangs, refuses, fails: the job runs, and its exit status is the one that it has."""

import socket

import pytest

from tests.integration.client.conftest import Command
from tests.ping_receiver import HANG, HANG_UP, HEARTBEAT, Receiver


def test_a_gateway_that_refuses_changes_nothing_for_the_job(command: Command) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port, and it refuses
        taken.bind(("127.0.0.1", 0))
        command.environ["UPTIME_PING_URL"] = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = command.shell("echo out; exit 7", options=("--timeout", "1.5"))

    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert done.stderr.startswith(b"uptimemonitor: the end of the job was not recorded: cannot reach the gateway")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([HANG] * 9, b"no answer from the gateway"),
        ([HANG_UP] * 9, b"no answer from the gateway"),
        ([500] * 9, b"the gateway answered 500"),
        ([429] * 9, b"the gateway answered 429"),
        ([404] * 9, b"the gateway answered 404"),
    ],
    ids=["hangs", "hangs up", "500", "429", "404"],
)
def test_whatever_the_gateway_does_the_status_is_that_of_the_job(
    command: Command, receiver: Receiver, answers: list[int], says: bytes
) -> None:
    receiver.answers = answers
    done = command.shell("echo out; exit 7", options=("--timeout", "2"))

    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert says in done.stderr
    assert receiver.actions.count("7") >= 1


def test_quiet_says_nothing_of_pings(command: Command, receiver: Receiver) -> None:
    receiver.answers = [404, 404]

    assert command.shell("exit 7", options=("--quiet",)).stderr == b""


@pytest.mark.parametrize("trouble", [500, 502, 503, 429, 408, HANG_UP])
def test_the_end_is_tried_again_until_it_is_recorded(command: Command, receiver: Receiver, trouble: int) -> None:
    receiver.answers = [200, trouble, trouble]
    done = command.shell("echo out; exit 2")

    assert (done.returncode, done.stderr) == (2, b"")
    assert receiver.actions == ["start", "2", "2", "2"]
    assert {ping.body for ping in receiver.pings[1:]} == {b"out\n"}


@pytest.mark.parametrize("final", [400, 401, 403, 404, 405, 409, 410, 413])
def test_what_cannot_get_better_is_not_tried_again(command: Command, receiver: Receiver, final: int) -> None:
    receiver.answers = [final, final]
    done = command.shell("exit 2")

    assert done.returncode == 2
    assert receiver.actions == ["start", "2"]
    assert f"the gateway answered {final}".encode() in done.stderr


def test_retry_after_is_waited_for(command: Command, receiver: Receiver) -> None:
    """No attempt before its time, and none at all where that is later than we go on trying."""
    receiver.answers = [200, 429]
    receiver.headers = {"Retry-After": "100"}
    done = command.shell("exit 0", options=("--timeout", "5"))

    assert receiver.actions == ["start", "0"]
    assert b"429" in done.stderr


@pytest.mark.parametrize(
    ("heartbeat", "ping_url"),
    [("no heartbeat", "http://127.0.0.1:1"), (HEARTBEAT, ""), (HEARTBEAT, "ftp://ping.test"), ("http://[::1", "")],
)
def test_a_name_that_is_wrong_does_not_keep_the_job_from_running(command: Command, heartbeat: str, ping_url: str) -> None:
    done = command.run("run", "--heartbeat", heartbeat, "--", "sh", "-c", "echo ran; exit 3", env={"UPTIME_PING_URL": ping_url})

    assert (done.returncode, done.stdout) == (3, b"ran\n")
    assert b"the job runs without pings" in done.stderr
