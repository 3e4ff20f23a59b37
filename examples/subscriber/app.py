"""A subscriber of the bus: a rule for IncidentOpened and a Lambda that opens a ticket. `cdk deploy` with the context of the README."""

from pathlib import Path

from aws_cdk import App, Duration, Stack, aws_events, aws_lambda
from aws_cdk.aws_events_targets import LambdaFunction
from constructs import Construct

TICKET = Path(__file__).parent / "ticket"


class TicketStack(Stack):
    """What subscribes to the bus named `bus` and posts tickets to `ticket_url`."""

    def __init__(self, scope: Construct, *, bus: str, ticket_url: str) -> None:
        super().__init__(scope, "UptimeTickets")
        ticket = aws_lambda.Function(
            self, "Ticket", runtime=aws_lambda.Runtime.PYTHON_3_13, handler="handler.handle",
            code=aws_lambda.Code.from_asset(str(TICKET), exclude=["__pycache__"]), environment={"TICKET_URL": ticket_url},
            timeout=Duration.seconds(30), dead_letter_queue_enabled=True,
        )  # fmt: skip
        pattern = aws_events.EventPattern(
            source=["uptimemonitor"], detail_type=["IncidentOpened"], detail={"metadata": {"version": [1]}}
        )
        source = aws_events.EventBus.from_event_bus_name(self, "Bus", bus)
        aws_events.Rule(self, "IncidentOpened", event_bus=source, event_pattern=pattern, targets=[LambdaFunction(ticket)])


def context(app: App, key: str) -> str:
    """A value that `cdk` was given as `-c key=value`.

    Raises:
        SystemExit: it was not.
    """
    value = app.node.try_get_context(key)
    if not value:
        raise SystemExit(f"say -c {key}=...")
    return str(value)


if __name__ == "__main__":
    app = App()
    TicketStack(app, bus=context(app, "bus"), ticket_url=context(app, "ticket_url"))
    app.synth()
