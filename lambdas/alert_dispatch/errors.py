"""What can go wrong with a message, by what follows from it."""

from typing import ClassVar, Final

from botocore.exceptions import BotoCoreError, HTTPClientError

from core.contracts.events import ErrorType

FIRST_DELAY_S: Final = 10
LONGEST_DELAY_S: Final = 15 * 60
LONGEST_RETRY_AFTER_S: Final = 60 * 60
WAITS_BRIEFLY: Final = 12
"""So many times a message that only waits comes back soon: together they are longer than a lease of somebody who was killed."""


class Transient(Exception):
    """Worth another try. `retry_after_s` is what the target asked for, `timed_out` tells the breaker.

    `in_doubt`: the target may have taken it all the same, so nothing that came before it may follow. `attempt` is which attempt at the
    message it was.
    """

    error_type: ClassVar[ErrorType] = "transient"

    def __init__(
        self, message: str, *, retry_after_s: int | None = None, timed_out: bool = False, in_doubt: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.timed_out = timed_out
        self.in_doubt = in_doubt or timed_out
        self.attempt = 1


class RateLimited(Transient):
    """The target takes no more messages for now."""

    error_type: ClassVar[ErrorType] = "rate_limited"


class Refused(Transient):
    """The target is at an address that must not be connected to. For a while that may be the name server's doing."""


class Unforeseen(Transient):
    """An error that nobody foresaw, ours or a library's. What it says stays in our log: it may hold anything, a secret as well."""

    def __init__(self, error: Exception, attempt: int) -> None:
        super().__init__(f"an error of ours that was not foreseen ({type(error).__name__}); the log of alert_dispatch has it")
        self.attempt = attempt


class Permanent(Exception):
    """No further try can succeed. `disable_channel`: the target is gone, so no other message can succeed either."""

    error_type: ClassVar[ErrorType] = "permanent"

    def __init__(self, message: str, *, disable_channel: bool = False) -> None:
        super().__init__(message)
        self.disable_channel = disable_channel


class Later(Exception):
    """Not this message's turn: nothing was tried and nothing is reported. It comes again after `delay_s`."""

    def __init__(self, message: str, delay_s: int) -> None:
        super().__init__(message)
        self.delay_s = delay_s

    def comes_again_in(self, receives: int) -> int:
        """Seconds until a message that was received so often comes again.

        What it waits for is mostly settled within seconds, or is in doubt for hours; and each time that it comes, it is nearer to the dead
        letters.
        """
        return self.delay_s if receives <= WAITS_BRIEFLY else max(self.delay_s, retry_delay_s(receives - WAITS_BRIEFLY))


def unanswered(service: str, error: BotoCoreError) -> Transient:
    """A call of AWS without an answer; in doubt, once there was a connection."""
    timed_out = "Timeout" in type(error).__name__
    return Transient(f"{service} could not be reached: {error}", timed_out=timed_out, in_doubt=isinstance(error, HTTPClientError))


def retry_delay_s(attempt: int, retry_after_s: int | None = None) -> int:
    """Seconds until attempt `attempt + 1`: 10 s doubling to 15 min, or longer (up to an hour) where the target asked for it."""
    backoff = min(FIRST_DELAY_S << min(attempt - 1, 10), LONGEST_DELAY_S)
    return max(backoff, min(retry_after_s or 0, LONGEST_RETRY_AFTER_S))
