"""Put HeartbeatPinged on the bus. The ping is safe already: what fails here is published again by the sweep of pending pings."""

from collections.abc import Callable
from typing import Any

from core.contracts.names import EVENT_SOURCE
from lambdas.ping.event import DETAIL_TYPE


class Publisher:
    """Publishes to one bus. `trouble` are the errors that a call may raise, `report` is told what went wrong."""

    def __init__(self, client: Any, bus: str, trouble: tuple[type[Exception], ...], report: Callable[[str], None]) -> None:
        self._client = client
        self._bus = bus
        self._trouble = trouble
        self._report = report

    def publish(self, detail: str) -> bool:
        """Publish one event; False if the bus did not take it."""
        entry = {"Source": EVENT_SOURCE, "DetailType": DETAIL_TYPE, "Detail": detail, "EventBusName": self._bus}
        try:
            answer = self._client.put_events(Entries=[entry])
        except self._trouble as error:
            self._report(f"{type(error).__name__}: {error}")
            return False
        if answer.get("FailedEntryCount"):
            self._report(str(answer["Entries"][0].get("ErrorCode")))
            return False
        return True
