"""Named steps of an alert's way, from the change of state to its receipt, and sudden death at any one of them.

The product knows nothing of this: `wrapped` puts a note around what does the work, in this process and while it lasts. Whoever passes a
step writes its name into a trace; where the step is armed, the process ends there with SIGKILL, once.
"""

import functools
import inspect
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final
from unittest.mock import patch

FOLDER: Final = "FAILPOINTS"
"""The variable that names the folder in which all processes of a stage find the files below."""

TRACE, ARMED, STRUCK = "trace", "armed", "struck"

type About = Callable[[tuple[Any, ...], Any], str | None]
"""From the arguments and the result of a call what it is about, as far as it is known; None where it is not a step of an alert."""


@dataclass(frozen=True, slots=True)
class Step:
    """Before or after a call of `attribute`, which a process of the box makes that is started as `module`.

    `messages` are those that the receiver gets when the process is killed there.
    """

    name: str
    module: str
    owner: str
    attribute: str
    about: About
    after: bool = False
    messages: int = 1


_invocation = threading.local()


def _begun(arguments: tuple[Any, ...], _result: Any) -> str:
    """The message of an invocation, which runs in one thread; what the following steps of it are about."""
    _invocation.body = arguments[0].body
    return str(_invocation.body)


def _message(_arguments: tuple[Any, ...], _result: Any) -> str:
    return str(_invocation.body)


def _if_any(_arguments: tuple[Any, ...], result: Any) -> str | None:
    return "" if result else None


def _if_given(arguments: tuple[Any, ...], _result: Any) -> str | None:
    return "" if arguments[1] else None


def _requests(arguments: tuple[Any, ...], _result: Any) -> str | None:
    return "".join(event.detail for event in arguments[1] if event.detail_type == "AlertRequested") or None


def _claimed(arguments: tuple[Any, ...], result: Any) -> str | None:
    return _message(arguments, result) if type(result).__name__ == "Claimed" else None


def _receipts(arguments: tuple[Any, ...], result: Any) -> str | None:
    """A call of the queue of receipts: what it gave, or what it is given."""
    messages = result if result is not None else arguments[1]
    return "".join(message.body for message in messages) or None if arguments[0].name.endswith("-receipts") else None


def _ended(arguments: tuple[Any, ...], _result: Any) -> str | None:
    return "" if any(changed.delivery.finished_at for changed in arguments[1]) else None


CHECKER, RUNNER, INBOX = "core.checker", "core.local.lambda_runner", "core.inbox"
_QUEUE = "core.adapters.task_queue:TaskQueue"
_BUS = "core.adapters.event_bus:EventBridgeBus"
_RECORDS = "aws_lambda_powertools.utilities.idempotency.persistence.base:BasePersistenceLayer"
_DISPATCH = "lambdas.alert_dispatch"
_POSTER = f"{_DISPATCH}.posting:Poster"
_SQS = "core.adapters.queues:SqsQueue"

STEPS: Final = (
    Step("change written", CHECKER, "core.flows.websites", "record_transitions", _if_any, after=True),
    Step("change committed", CHECKER, _QUEUE, "kick_alerts", _if_given),
    Step("task kicked", CHECKER, _QUEUE, "kick_alerts", _if_given, after=True),
    Step("task begun", CHECKER, "core.flows.routing", "route_alerts", _if_given),
    Step("routing written", CHECKER, "core.flows.routing", "request_messages", _if_given, after=True),
    Step("routing committed", CHECKER, "core.flows.routing", "route_alerts", _if_given, after=True),
    Step("before PutEvents", CHECKER, _BUS, "publish", _requests),
    Step("after PutEvents", CHECKER, _BUS, "publish", _requests, after=True),
    Step("message received", RUNNER, f"{_DISPATCH}.handler", "handle_record", _begun),
    Step("record in progress", RUNNER, _RECORDS, "save_inprogress", _message, after=True),
    Step("turn claimed", RUNNER, f"{_DISPATCH}.order:Order", "claim", _claimed, after=True),
    Step("before sending", RUNNER, _POSTER, "send", _message),
    Step("receiver answered", RUNNER, _POSTER, "send", _message, after=True, messages=2),
    Step("turn finished", RUNNER, f"{_DISPATCH}.order:Order", "finish", _message, after=True),
    Step("record completed", RUNNER, _RECORDS, "save_success", _message, after=True),
    Step("receipt published", RUNNER, f"{_DISPATCH}.receipts:Receipts", "publish", _message, after=True),
    Step("receipt received", INBOX, _SQS, "receive", _receipts, after=True),
    Step("receipt written", INBOX, "core.adapters.store.deliveries", "save_many", _ended, after=True),
    Step("receipt committed", INBOX, _SQS, "delete", _receipts),
)
"""In the order of the way. After the last one only the receipt's message is deleted; whoever reads it again changes nothing."""


def arm(folder: Path, step: str, concerning: str = "") -> None:
    """Have the next process that passes `step` end there; where it knows what the step is about, only if that holds `concerning`."""
    (folder / STRUCK).unlink(missing_ok=True)
    unseen = folder / f"{ARMED}.partial"
    unseen.write_text(f"{step}\n{concerning}")
    unseen.rename(folder / ARMED)


def struck(folder: Path) -> bool:
    """Whether what was armed last has ended a process."""
    return (folder / STRUCK).exists()


def note(text: str) -> None:
    """A line in the trace."""
    with (Path(os.environ[FOLDER]) / TRACE).open("a", encoding="utf-8") as trace:
        trace.write(f"{text}\n")


@contextmanager
def wrapped(*modules: str) -> Iterator[None]:
    """The steps of what is started as one of `modules`, noted and deadly in this process. Nothing of the others is imported."""
    with ExitStack() as patches:
        for step in STEPS:
            if step.module in modules:
                owner = resolve_name(step.owner)
                patches.enter_context(patch.object(owner, step.attribute, _around(getattr(owner, step.attribute), step)))
        yield


def _around(call: Callable[..., Any], step: Step) -> Callable[..., Any]:
    signature = inspect.signature(call)

    @functools.wraps(call)
    def noted(*positional: Any, **named: Any) -> Any:
        arguments = signature.bind(*positional, **named).args
        if not step.after:
            _pass(step, step.about(arguments, None))
        result = call(*positional, **named)
        if step.after:
            _pass(step, step.about(arguments, result))
        return result

    return noted


def _pass(step: Step, about: str | None) -> None:
    if about is None:
        return
    note(step.name)
    folder = Path(os.environ[FOLDER])
    try:
        armed, _, concerning = (folder / ARMED).read_text(encoding="utf-8").partition("\n")
        if armed != step.name or (about and concerning not in about):
            return
        (folder / ARMED).rename(folder / STRUCK)
    except FileNotFoundError:  # nothing is armed, or another thread was first
        return
    os.kill(os.getpid(), signal.SIGKILL)
