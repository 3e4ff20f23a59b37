"""Meters of the edge, of what carries events, and of what we watch ourselves with."""

from collections.abc import Iterator, Mapping
from typing import Final

from cdk.cost.line import Estate, Meter, Use
from cdk.cost.load import (
    CONTAINER_LOG_GB,
    DELIVERY_S,
    EVENT_BYTES,
    FLOW_RECORD_BYTES,
    FLOW_RECORDS_OF_A_CHECK,
    GB,
    HOURS,
    MILLION,
    PING_S,
)
from cdk.cost.template import Resource

IDLE_POLLS: Final = HOURS * 3600 / 20
"""Whoever waits for messages asks every 20 s."""
INBOXES: Final = 2
LAMBDA_POLLERS: Final = 5
REJECTED_SHARE: Final = 0.01
METRICS_OF_A_METHOD: Final = 5
METRICS_OF_A_CLUSTER: Final = 8
METRICS_OF_A_SERVICE: Final = 11
METRICS_OF_A_TASK: Final = 6
INSIGHTS_BYTES_A_MINUTE: Final = 1_000
LOG_BYTES_OF_A_PING: Final = 500
LOG_BYTES_OF_A_MESSAGE: Final = 2_000
PUTS_OF_QUEUE_LENGTH: Final = HOURS * 60
ALARMS_OF_A_POLICY: Final = 2


def api(_: Resource, estate: Estate) -> Iterator[Use]:
    """A request for each ping, and its answer."""
    yield Use("api.request", estate.load.pings / MILLION, "pings")
    yield Use("transfer.out", estate.load.pings * 500 / GB, "answers to pings")


def stage(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Metrics of each method, where they are wanted."""
    if any(one.get("MetricsEnabled") for one in resource.properties.get("MethodSettings", [])):
        methods = len(estate.templates.of("AWS::ApiGateway::Method"))
        yield Use("metric", methods * METRICS_OF_A_METHOD, "metrics of each method")


def function(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Calls and their time, of the functions that are called often; others are called a few times a month."""
    load, noun = estate.load, str(resource.properties.get("FunctionName", "")).partition("-uptimemonitor-")[2]
    calls, seconds = {
        "ping": (load.pings * (1 - load.ping_mail_share), PING_S),
        "ping-mail": (load.pings * load.ping_mail_share, PING_S),
        "alert-dispatch": (load.messages, DELIVERY_S),
    }.get(noun, (0.0, 0.0))
    memory = resource.properties.get("MemorySize", 128) / 1024
    architecture = resource.properties.get("Architectures", ["x86_64"])[0]
    yield Use("lambda.request", calls / MILLION, "calls")
    yield Use(f"lambda.{architecture}", calls * seconds * memory, "time")


def acl(resource: Resource, estate: Estate) -> Iterator[Use]:
    """The rules in front of the ping API."""
    yield Use("waf.acl", estate.months_of(resource), "list of rules")
    yield Use("waf.rule", len(resource.properties["Rules"]) * estate.months_of(resource), "rules")
    yield Use("waf.request", estate.load.pings / MILLION, "pings")


def bus(_: Resource, estate: Estate) -> Iterator[Use]:
    """Events; those that AWS sends to the default bus are free."""
    yield Use("events.custom", estate.load.events / MILLION, "events")


def archive(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Every event, for its days."""
    gb = estate.load.events * EVENT_BYTES / GB
    yield Use("events.archive", gb, "events, archived")
    yield Use("events.archived", gb * resource.properties["RetentionDays"] / 30, "events, kept")


def queue(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A message is sent, received and deleted. Nobody waits for dead letters."""
    load, noun = estate.load, resource.properties["QueueName"].partition("-uptimemonitor-")[2]
    messages = {"pings": load.pings, "alerts": load.messages, "receipts": load.messages}.get(noun, 0.0)
    waiting = LAMBDA_POLLERS if noun in ("alerts", "mails") else INBOXES * estate.awake
    polls = IDLE_POLLS * waiting if "RedrivePolicy" in resource.properties else 0.0
    yield Use("sqs.request", (3 * messages + polls) / MILLION, "messages, and asking for them")


def sender(_: Resource, estate: Estate) -> Iterator[Use]:
    """Mails to people."""
    yield Use("ses.mail", estate.load.mails / 1000, "mails")


def flows(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A record for each direction of each connection at each interface; connections of checks are new ones each time."""
    gb = estate.awake * estate.load.checks * FLOW_RECORDS_OF_A_CHECK * FLOW_RECORD_BYTES / GB
    share = REJECTED_SHARE if resource.properties["TrafficType"] == "REJECT" else 1.0
    yield Use("logs.ingested", gb * share, f"connections, {resource.properties['TrafficType'].lower()}")


def log_group(resource: Resource, estate: Estate) -> Iterator[Use]:
    """What is written, and kept for its days."""
    load, name = estate.load, resource.properties["LogGroupName"]
    if "/ecs/" in name:
        gb = 0.0 if name.endswith("/migrate") else CONTAINER_LOG_GB * estate.months_of(resource)
    elif name.endswith("alert-dispatch"):
        gb = load.messages * LOG_BYTES_OF_A_MESSAGE / GB
    elif "ping" in name:
        gb = load.pings * LOG_BYTES_OF_A_PING / GB
    else:
        gb = 0.0  # of flows, which stand by their flow log
    yield Use("logs.ingested", gb, "written")
    yield Use("logs.stored", gb * resource.properties["RetentionInDays"] / 30, "kept")


def written_gb(estate: Estate) -> float:
    """What all log groups get in a month."""
    written = (use for one in estate.templates.of("AWS::Logs::LogGroup") for use in log_group(one, estate))
    return sum(use.quantity for use in written if use.price == "logs.ingested")


def stream(_: Resource, estate: Estate) -> Iterator[Use]:
    """Logs on their way to S3; streams share them, and each record counts as 5 kB at least."""
    streams = len(estate.templates.of("AWS::KinesisFirehose::DeliveryStream"))
    yield Use("firehose.data", 2 * written_gb(estate) / streams, "logs, with what is lost to small records")


def cluster(resource: Resource, estate: Estate) -> Iterator[Use]:
    """The length of the queue is a metric of ours; Container Insights are many more, and logs."""
    yield Use("metric", estate.months_of(resource), "length of the queue")
    yield Use("metric.put", PUTS_OF_QUEUE_LENGTH * estate.months_of(resource) / 1000, "length of the queue, every minute")
    wanted = {one["Value"] for one in resource.properties.get("ClusterSettings", []) if one["Name"] == "containerInsights"}
    if wanted & {"enabled", "enhanced"}:
        services = estate.templates.of("AWS::ECS::Service")
        metrics = METRICS_OF_A_CLUSTER + len(services) * (METRICS_OF_A_SERVICE + METRICS_OF_A_TASK)
        tasks = sum(one.properties["DesiredCount"] for one in services)
        events = HOURS * 60 * (1 + len(services) + 2 * tasks)
        yield Use("metric", metrics * estate.months_of(resource), "Container Insights")
        yield Use("logs.ingested", events * INSIGHTS_BYTES_A_MINUTE / GB * estate.months_of(resource), "Container Insights")


def alarm(resource: Resource, estate: Estate) -> Iterator[Use]:
    """An alarm on one metric."""
    yield Use("alarm", estate.months_of(resource), "alarm")


def policy(resource: Resource, estate: Estate) -> Iterator[Use]:
    """Target tracking makes alarms of its own; steps have theirs in the template."""
    if "Step" not in str(resource.properties.get("PolicyType")):
        yield Use("alarm", ALARMS_OF_A_POLICY * estate.months_of(resource), "alarms of a scaling policy")


def dashboard(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A dashboard."""
    yield Use("dashboard", estate.months_of(resource), "dashboard")


def namespace(resource: Resource, estate: Estate) -> Iterator[Use]:
    """A private zone of Route 53."""
    yield Use("route53.zone", estate.months_of(resource), "private zone")


METERS: Final[Mapping[str, Meter]] = {
    "AWS::ApiGateway::RestApi": api,
    "AWS::ApiGateway::Stage": stage,
    "AWS::ApplicationAutoScaling::ScalingPolicy": policy,
    "AWS::AutoScaling::ScalingPolicy": policy,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::EC2::FlowLog": flows,
    "AWS::ECS::CapacityProvider": policy,
    "AWS::ECS::Cluster": cluster,
    "AWS::Events::Archive": archive,
    "AWS::Events::EventBus": bus,
    "AWS::KinesisFirehose::DeliveryStream": stream,
    "AWS::Lambda::Function": function,
    "AWS::Logs::LogGroup": log_group,
    "AWS::SES::ConfigurationSet": sender,
    "AWS::SQS::Queue": queue,
    "AWS::ServiceDiscovery::PrivateDnsNamespace": namespace,
    "AWS::WAFv2::WebACL": acl,
}
