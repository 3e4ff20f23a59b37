"""What carries events: the bus, its archive and its schemas, the rules, the queues and their dead letters, and mail events of SES."""

import json
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, aws_events, aws_eventschemas, aws_ses, aws_sqs
from aws_cdk.aws_events_targets import SqsQueue
from constructs import Construct

from cdk.config import Config
from cdk.draft4 import draft4
from cdk.stacks.estate_stack import EstateStack
from core.contracts.names import EVENT_SOURCE, Names
from core.contracts.queues import RETENTION_S, Queue, mail_events, queues, tasks

SCHEMAS = Path(__file__).parents[2] / "core/contracts/schemas"


class QueuePair:
    """A queue and its dead letters, both encrypted and closed to plain HTTP."""

    def __init__(self, scope: Construct, queue: Queue) -> None:
        noun = queue.name.split("-uptimemonitor-")[1]
        kept = Duration.seconds(RETENTION_S)
        self.dead = aws_sqs.Queue(
            scope, f"{noun}-dead", queue_name=Names.dead_letters(queue.name), retention_period=kept, enforce_ssl=True,
            encryption=aws_sqs.QueueEncryption.SQS_MANAGED,
        )  # fmt: skip
        self.queue = aws_sqs.Queue(
            scope, noun, queue_name=queue.name, retention_period=kept, visibility_timeout=Duration.seconds(queue.visibility_s),
            encryption=aws_sqs.QueueEncryption.SQS_MANAGED, enforce_ssl=True,
            dead_letter_queue=aws_sqs.DeadLetterQueue(queue=self.dead, max_receive_count=queue.max_receives),
        )  # fmt: skip


class EventsStack(EstateStack):
    """The bus `{env}-uptimemonitor-events` and everything that it fills."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(scope, "events", config)
        self.bus = aws_events.EventBus(self, "Bus", event_bus_name=config.names.bus)
        everything = aws_events.EventPattern(source=[EVENT_SOURCE])
        self.bus.archive("Archive", event_pattern=everything, retention=Duration.days(30), archive_name=config.names.bus)
        self.queues: dict[str, QueuePair] = {}
        for queue in queues(config.names):
            self._route(queue, self.bus, EVENT_SOURCE)
        self._route(mail_events(config.names), None, "aws.ses")
        self.task_queues = [QueuePair(self, queue) for queue in (tasks(config.names) if config.broker == "sqs" else ())]
        self.configuration_set = self._sender()
        self._schemas()

    def _route(self, queue: Queue, bus: aws_events.IEventBus | None, source: str) -> None:
        pair = self.queues[queue.name] = QueuePair(self, queue)
        pattern = aws_events.EventPattern(source=[source], detail_type=list(queue.detail_types))
        name = queue.rule if bus else queue.name  # names of rules are unique per bus, and the default bus is everybody's
        rule = aws_events.Rule(self, f"{queue.rule}-rule", rule_name=name, event_bus=bus, event_pattern=pattern)
        rule.add_target(SqsQueue(pair.queue, dead_letter_queue=pair.dead, max_event_age=Duration.hours(24), retry_attempts=185))

    def _sender(self) -> aws_ses.ConfigurationSet:
        """SES tells the default bus of bounces and complaints."""
        mail = aws_ses.ConfigurationSet(
            self, "Mail", configuration_set_name=f"{self.config.env}-uptimemonitor", reputation_metrics=True,
            tls_policy=aws_ses.ConfigurationSetTlsPolicy.OPTIONAL,  # mail servers without TLS get alerts, too
        )  # fmt: skip
        default = aws_events.EventBus.from_event_bus_name(self, "DefaultBus", "default")
        told = [aws_ses.EmailSendingEvent.BOUNCE, aws_ses.EmailSendingEvent.COMPLAINT]
        mail.add_event_destination("Bounces", destination=aws_ses.EventDestination.event_bus(default), events=told)
        return mail

    def _schemas(self) -> None:
        registry = aws_eventschemas.CfnRegistry(self, "Registry", registry_name=self.config.names.bus)
        for path in sorted(SCHEMAS.glob("*.json")):
            schema = draft4(json.loads(path.read_text(encoding="utf-8")))
            made = aws_eventschemas.CfnSchema(
                self, f"{path.stem}Schema", registry_name=registry.attr_registry_name, type="JSONSchemaDraft4",
                schema_name=f"{EVENT_SOURCE}@{path.stem}", content=json.dumps(schema, separators=(",", ":")),
            )  # fmt: skip
            made.apply_removal_policy(RemovalPolicy.DESTROY)
