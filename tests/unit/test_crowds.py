"""A target that hangs has a few of a process's slots; one that answers has as many as there are."""

from contextlib import ExitStack
from uuid import uuid4

import pytest

from lambdas.alert_dispatch.crowds import COME_BACK_S, CROWD, PROMPT_S, Crowds
from lambdas.alert_dispatch.errors import Later


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_prompt_target_may_have_as_many_as_there_are() -> None:
    crowds, channel = Crowds(Clock()), uuid4()
    with ExitStack() as stack:
        for _ in range(5 * CROWD):
            stack.enter_context(crowds.join(channel))
    assert crowds._began == {}


def test_a_target_that_keeps_a_crowd_waiting_gets_no_more_until_one_has_left() -> None:
    clock, channel, other = Clock(), uuid4(), uuid4()
    crowds = Crowds(clock)
    with ExitStack() as rest:
        with ExitStack() as first:
            first.enter_context(crowds.join(channel))
            clock.now += PROMPT_S / 2
            for _ in range(CROWD - 1):
                rest.enter_context(crowds.join(channel))
            clock.now += PROMPT_S
            with pytest.raises(Later) as later, crowds.join(channel):
                raise AssertionError("it must not get in")
            assert later.value.delay_s == COME_BACK_S
            with crowds.join(other):
                pass
        with crowds.join(channel):
            pass
    assert crowds._began == {}


def test_who_fails_leaves_as_well() -> None:
    crowds, channel = Crowds(Clock()), uuid4()
    with pytest.raises(ZeroDivisionError), crowds.join(channel):
        raise ZeroDivisionError
    assert crowds._began == {}
