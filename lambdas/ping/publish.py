"""Put HeartbeatPinged on the bus. The ping is safe already: what fails here is published again by the sweep of pending pings."""

from collections.abc import Callable
from typing import Any, Protocol

from core.contracts.names import EVENT_SOURCE
from lambdas.ping.event import DETAIL_TYPE
from lambdas.signed_aws.aws import OUTAGES


class Bus(Protocol):
    """What publishing needs of EventBridge (`lambdas.signed_aws.aws.Events`)."""

    def put_events(self, **request: Any) -> dict[str, Any]:
        """PutEvents."""
        ...


class Publisher:
    """Publishes to one bus; `report` is told what went wrong."""

    def __init__(self, client: Bus, bus: str, report: Callable[[str], None]) -> None:
        self._client = client
        self._bus = bus
        self._report = report

    def publish(self, detail: str) -> bool:
        """Publish one event; False if the bus did not take it."""
        entry = {"Source": EVENT_SOURCE, "DetailType": DETAIL_TYPE, "Detail": detail, "EventBusName": self._bus}
        try:
            answer = self._client.put_events(Entries=[entry])
        except OUTAGES as error:
            self._report(f"{type(error).__name__}: {error}")
            return False
        if answer.get("FailedEntryCount"):
            self._report(str(answer["Entries"][0].get("ErrorCode")))
            return False
        return True
