"""`uptimemonitor run`: the job does not notice it, and the heartbeat learns how it went."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from core.client.tail import TAIL_BYTES
from tests.integration.client.conftest import Command
from tests.ping_receiver import HANG, HEARTBEAT, Receiver
from tests.waiting import until

PARENT_AND_CHILD = """
import os, signal, sys
number = int(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, {number})
child = os.fork()
os.write(1, b"ready\\n")
signal.sigwait({number})
if child:
    os.waitpid(child, 0)
os.write(1, b"parent\\n" if child else b"child\\n")
sys.exit(42)
"""


def test_a_run_is_a_start_and_an_end_with_the_same_rid_the_status_and_the_output(command: Command, receiver: Receiver) -> None:
    done = command.shell("echo out; sleep 0.2; echo err >&2; exit 7")

    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert receiver.actions == ["start", "7"]
    start, end = receiver.pings
    assert start.rid == end.rid
    assert start.rid
    assert (start.method, start.body, end.method, end.body) == ("POST", b"", "POST", b"out\nerr\n")


def test_a_job_that_is_quicker_than_its_pings_has_both_too(command: Command, receiver: Receiver) -> None:
    assert command.job("true").returncode == 0
    assert receiver.actions == ["start", "0"]


def test_two_runs_have_two_rids(command: Command, receiver: Receiver) -> None:
    command.job("true")
    command.job("true")

    assert len({ping.rid for ping in receiver.pings}) == 2


def test_the_input_reaches_the_job_and_bytes_are_bytes(command: Command, receiver: Receiver) -> None:
    data = bytes(range(256)) * 3

    assert command.job("cat", given=data).stdout == data
    assert receiver.pings[-1].body == data


def test_the_last_10_kib_are_sent_and_everything_is_passed_on(command: Command, receiver: Receiver) -> None:
    done = command.shell("seq 1 200000")

    assert done.stdout == b"".join(b"%d\n" % n for n in range(1, 200_001))
    assert receiver.pings[-1].body == done.stdout[-TAIL_BYTES:]


def test_output_left_alone_is_not_sent(command: Command, receiver: Receiver) -> None:
    done = command.shell("echo secret; test -p /dev/stdout && echo still the pipe of the caller", options=("--no-output",))

    assert done.stdout == b"secret\nstill the pipe of the caller\n"
    assert receiver.pings[-1].body == b""


@pytest.mark.parametrize(("options", "is_terminal"), [((), b"no\n"), (("--pty",), b"yes\n")])
def test_the_job_writes_to_a_terminal_only_when_asked(
    command: Command, receiver: Receiver, options: tuple[str, ...], is_terminal: bytes
) -> None:
    done = command.shell("if test -t 1 && test -t 2; then echo yes; else echo no; fi", options=options)

    assert done.stdout == is_terminal
    assert receiver.pings[-1].body == is_terminal


def test_a_signal_that_ends_the_job_is_128_more(command: Command, receiver: Receiver) -> None:
    assert command.shell("kill -KILL $$").returncode == 128 + signal.SIGKILL
    assert receiver.actions[-1] == "137"


def test_a_command_that_is_not_there_ends_with_127_and_one_that_cannot_run_with_126(
    command: Command, receiver: Receiver, tmp_path: Path
) -> None:
    no_program = tmp_path / "data"
    no_program.write_text("not a program")

    missing, refused = command.job("there-is-no-such-command"), command.job(str(no_program))

    assert (missing.returncode, refused.returncode) == (127, 126)
    assert b"cannot run there-is-no-such-command" in missing.stderr
    assert receiver.actions == ["127", "126"]
    assert b"Permission denied" in receiver.pings[-1].body


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_reach_the_job_and_its_children(command: Command, receiver: Receiver, number: signal.Signals) -> None:
    """The job answers a signal with a status of its own; so does a child of it."""
    process = command.start("run", "--heartbeat", HEARTBEAT, "--", sys.executable, "-c", PARENT_AND_CHILD, str(number.value))
    assert process.stdout
    assert [process.stdout.readline(), process.stdout.readline()] == [b"ready\n", b"ready\n"]
    process.send_signal(number)
    rest = process.stdout.read()

    assert process.wait(20) == 42
    assert rest == b"child\nparent\n"
    assert receiver.actions[-1] == "42"


def test_a_job_that_takes_no_notice_of_a_signal_runs_to_its_end(command: Command, receiver: Receiver) -> None:
    process = command.start_shell("trap '' TERM; echo ready; read line; exit 3", stdin=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(b"go on\n", timeout=20)

    assert process.returncode == 3
    assert receiver.actions[-1] == "3"


def test_a_signal_that_is_ignored_for_us_is_ignored_for_the_job(command: Command, receiver: Receiver) -> None:
    """As under nohup."""
    process = command.start_shell(
        "echo ready; read line; exit 4",
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.communicate(b"go on\n", timeout=20)

    assert process.returncode == 4


def test_the_status_is_known_where_children_are_ignored(command: Command) -> None:
    """Some supervisors start everything with SIGCHLD ignored; the kernel then reaps children unseen."""
    process = command.start_shell("exit 9", preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))

    assert process.wait(20) == 9


def test_a_job_whose_output_nobody_reads_ends_as_it_would_without_us(command: Command, receiver: Receiver) -> None:
    process = command.start("run", "--heartbeat", HEARTBEAT, "--", "yes")
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()

    assert process.wait(20) == 128 + signal.SIGPIPE
    assert receiver.actions[-1] == "141"


def test_what_the_job_leaves_behind_does_not_hold_up_its_end(command: Command, receiver: Receiver) -> None:
    process = command.start_shell("(trap '' PIPE; while :; do echo on; sleep 0.05; done) & echo $!")
    assert process.stdout
    left_behind = int(next(line for line in process.stdout if line != b"on\n"))
    try:
        assert process.wait(20) == 0
        assert receiver.actions[-1] == "0"
    finally:
        os.kill(left_behind, signal.SIGKILL)


def test_the_environment_and_the_folder_are_those_of_the_caller(command: Command, tmp_path: Path) -> None:
    process = command.start_shell(
        "pwd; echo $MARK", cwd=tmp_path, env={**command.environ, "MARK": "here", "PYTHONPATH": str(Path.cwd())}
    )
    out, _ = process.communicate(timeout=20)

    assert out.decode().splitlines() == [str(tmp_path), "here"]


def test_in_front_of_a_terminal_ctrl_c_reaches_the_job_once(command: Command, receiver: Receiver) -> None:
    ours, theirs = os.openpty()
    process = command.start_shell(
        "trap 'echo int' INT; echo ready; read line; echo got $line; exit 5",
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_be_in_front,
    )
    os.close(theirs)
    seen = _reading(ours)
    until(lambda: b"ready" in seen)
    os.write(ours, b"\x03")
    until(lambda: b"int\r\n" in seen or b"int\n" in seen)
    os.write(ours, b"line\n")

    assert process.wait(20) == 5
    until(lambda: b"got" in seen)
    assert seen.count(b"int\r\n") == 1
    os.close(ours)


def _be_in_front() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _reading(descriptor: int) -> bytearray:
    """Everything that can be read there from now on."""
    seen = bytearray()

    def read() -> None:
        try:
            while data := os.read(descriptor, 1024):
                seen.extend(data)
        except OSError:  # closed
            return

    threading.Thread(target=read, daemon=True).start()
    return seen


def test_the_job_does_not_wait_for_its_start_ping(command: Command, receiver: Receiver, tmp_path: Path) -> None:
    """The gateway answers the start only after the job has told us that it runs."""
    receiver.answers = [HANG]
    process = command.start_shell("echo runs; read line; exit 6", options=("--timeout", "4"), stdin=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"runs\n"
    receiver.saw("start")
    process.communicate(b"\n", timeout=30)

    assert process.returncode == 6
    assert receiver.actions == ["start", "6"]


def test_a_start_is_tried_again_while_the_job_runs(command: Command, receiver: Receiver) -> None:
    receiver.answers = [503, 503]
    process = command.start_shell("read line", stdin=subprocess.PIPE)
    until(lambda: len(receiver.pings) == 3)
    process.communicate(b"\n", timeout=20)

    assert receiver.actions == ["start", "start", "start", "0"]
    assert process.returncode == 0


def test_a_late_start_does_not_come_after_its_run(command: Command, receiver: Receiver) -> None:
    receiver.answers = [503]

    assert command.shell("exit 0").returncode == 0
    assert receiver.actions == ["start", "0"]


def test_a_second_signal_ends_the_wait_for_a_gateway_that_hangs(command: Command, receiver: Receiver) -> None:
    receiver.answers = [200, HANG]
    began = time.monotonic()
    process = command.start_shell("exit 8", options=("--timeout", "600"))
    receiver.saw("8")
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 8
    assert time.monotonic() - began < 60
