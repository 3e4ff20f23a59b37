"""Watching libcurl's sockets. libcurl says what it waits for on each; we tell it what happened."""

import asyncio
import select
from collections.abc import Callable
from typing import Final, Protocol

import pycurl

type Act = Callable[[list[tuple[int, int]]], None]
"""Takes what happened: descriptors with what they are ready for (CSELECT_*)."""

_MOST_AT_ONCE: Final = 512
_IN_AND_OUT: Final = pycurl.CSELECT_IN | pycurl.CSELECT_OUT


class SocketWatch(Protocol):
    """What `CurlMulti` needs of an event loop, apart from a timer."""

    def wait_for(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """The socket callback of libcurl; `what` is one of POLL_*."""

    def close(self) -> None:
        """Watch nothing any more."""


class EpollWatch:
    """An epoll of our own, and the loop watches only that: a third less CPU for a check than a watcher of the loop for each socket."""

    _EVENTS: Final = {
        pycurl.POLL_NONE: 0,
        pycurl.POLL_IN: select.EPOLLIN,
        pycurl.POLL_OUT: select.EPOLLOUT,
        pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
    }
    _READY: Final = {select.EPOLLIN: pycurl.CSELECT_IN, select.EPOLLOUT: pycurl.CSELECT_OUT}
    """Anything else (an error, a hang-up) is for libcurl to find out by reading and writing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Act) -> None:
        self._loop = loop
        self._act = act
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        loop.add_reader(self._epoll.fileno(), self._ready)

    def wait_for(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """See SocketWatch."""
        if what == pycurl.POLL_REMOVE:
            if fd in self._watched:
                self._watched.remove(fd)
                self._epoll.unregister(fd)
        elif fd in self._watched:
            self._epoll.modify(fd, self._EVENTS[what])
        else:
            self._watched.add(fd)
            self._epoll.register(fd, self._EVENTS[what])

    def _ready(self) -> None:
        happened = self._epoll.poll(0, _MOST_AT_ONCE)
        self._act([(fd, self._READY.get(events, _IN_AND_OUT)) for fd, events in happened])

    def close(self) -> None:
        """See SocketWatch."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()


class LoopWatch:
    """The loop's own watchers, for systems without epoll."""

    def __init__(self, loop: asyncio.AbstractEventLoop, act: Act) -> None:
        self._loop = loop
        self._act = act
        self._watched: dict[int, int] = {}

    def wait_for(self, what: int, fd: int, _multi: object, _data: object) -> None:
        """See SocketWatch."""
        wanted = 0 if what == pycurl.POLL_REMOVE else what
        changed = wanted ^ self._watched.pop(fd, 0)
        if changed & pycurl.POLL_IN:
            if wanted & pycurl.POLL_IN:
                self._loop.add_reader(fd, self._act, [(fd, pycurl.CSELECT_IN)])
            else:
                self._loop.remove_reader(fd)
        if changed & pycurl.POLL_OUT:
            if wanted & pycurl.POLL_OUT:
                self._loop.add_writer(fd, self._act, [(fd, pycurl.CSELECT_OUT)])
            else:
                self._loop.remove_writer(fd)
        if wanted:
            self._watched[fd] = wanted

    def close(self) -> None:
        """See SocketWatch."""
        for fd, wanted in self._watched.items():
            if wanted & pycurl.POLL_IN:
                self._loop.remove_reader(fd)
            if wanted & pycurl.POLL_OUT:
                self._loop.remove_writer(fd)
        self._watched.clear()


def best_watch(loop: asyncio.AbstractEventLoop, act: Act) -> SocketWatch:
    """The cheapest watch that this system has."""
    return EpollWatch(loop, act) if hasattr(select, "epoll") else LoopWatch(loop, act)
