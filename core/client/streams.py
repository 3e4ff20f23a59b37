"""The job's output on its way through us: byte for byte, in the order in which it comes."""

import contextlib
import errno
import fcntl
import os
import pty as pseudo
import select
import struct
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Final

from core.client.tail import Tail

CHUNK: Final = 65_536
GONE: Final = frozenset({errno.EPIPE, errno.EIO, errno.EBADF})
"""Nobody reads our output any more, or it never was open."""


@dataclass(frozen=True, slots=True)
class Pipe:
    """From the job (`source`, not blocking) to our own descriptor `target`."""

    source: FileIO
    target: int

    def has_more(self) -> bool:
        """Whether something, or the end, can be read now."""
        return not self.source.closed and bool(select.select([self.source], [], [], 0)[0])

    def pass_on(self, tail: Tail) -> bool:
        """Copy what is there; False once there will be no more.

        When nobody reads our output any more, the job's pipe is closed, so that the job ends as it would without us (SIGPIPE).
        """
        try:
            data = self.source.read(CHUNK)
        except OSError as error:
            if error.errno != errno.EIO:  # so ends a pseudo-terminal that nobody has open any more
                raise
            data = b""
        if data is None:
            return True
        tail.add(data)
        if not data or not _write(self.target, data):
            self.source.close()
        return not self.source.closed


@dataclass(frozen=True, slots=True)
class Captured:
    """What a job gets for its output, and the pipes that this comes out of."""

    stdout: FileIO
    stderr: FileIO
    pipes: tuple[Pipe, ...]

    def handed_over(self) -> None:
        """The job has copies of its own: with ours open, its end would never come."""
        self.stdout.close()
        self.stderr.close()


@contextlib.contextmanager
def captured(*, pty: bool) -> Iterator[Captured]:
    """Two pipes, or one pseudo-terminal for both streams, for programs that write otherwise to a terminal."""
    with contextlib.ExitStack() as stack:
        outs = [_pair(stack, *_pseudo_terminal())] if pty else [_pair(stack, *os.pipe()), _pair(stack, *os.pipe())]
        pipes = tuple(Pipe(source, target) for target, (source, _) in enumerate(outs, start=1))
        yield Captured(outs[0][1], outs[-1][1], pipes)


def _pair(stack: contextlib.ExitStack, read_end: int, write_end: int) -> tuple[FileIO, FileIO]:
    os.set_blocking(read_end, False)
    return stack.enter_context(FileIO(read_end, "rb")), stack.enter_context(FileIO(write_end, "wb"))


def _pseudo_terminal() -> tuple[int, int]:
    """As wide as our own terminal, and without its habit of turning line ends into two bytes."""
    ours, jobs = pseudo.openpty()
    modes = termios.tcgetattr(jobs)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(jobs, termios.TCSANOW, modes)
    with contextlib.suppress(OSError):  # our output is no terminal: no size to pass on
        fcntl.ioctl(jobs, termios.TIOCSWINSZ, fcntl.ioctl(1, termios.TIOCGWINSZ, struct.pack("HHHH", 0, 0, 0, 0)))
    return ours, jobs


def _write(target: int, data: bytes) -> bool:
    """All of it, however slowly it is read; False when nobody reads."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(target, left) :]
        except BlockingIOError:
            select.select([], [target], [])
        except OSError as error:
            if error.errno not in GONE:
                raise
            return False
    return True
