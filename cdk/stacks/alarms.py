"""The alarms of CloudWatch, who is told, and a dashboard of the same figures."""

from collections.abc import Iterable

from aws_cdk import Duration, aws_cloudwatch, aws_sns
from aws_cdk.aws_cloudwatch_actions import SnsAction
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from constructs import Construct

from cdk.config import Config
from cdk.stacks.core import CoreStack
from cdk.stacks.data import DataStack
from cdk.stacks.edge import EdgeStack
from cdk.stacks.events import EventsStack

MINUTE = Duration.minutes(1)
GIB = 1024**3
ABOVE = aws_cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
BELOW = aws_cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
MISSING_IS_BAD = aws_cloudwatch.TreatMissingData.BREACHING
RUNNING = {
    True: {"namespace": "ECS/ContainerInsights", "metric_name": "RunningTaskCount", "statistic": "Minimum"},
    False: {"namespace": "AWS/ECS", "metric_name": "CPUUtilization", "statistic": "SampleCount"},
}
"""By `detailed_metrics`: both count tasks, the second for free: ECS reports the CPU of each task of a service, and nothing without one."""
MISSING_IS_FINE = aws_cloudwatch.TreatMissingData.NOT_BREACHING


class Alarms(Construct):
    """Everything that somebody must be told of, and the topic that tells."""

    def __init__(
        self, scope: Construct, config: Config, *, data: DataStack, events: EventsStack, edge: EdgeStack, core: CoreStack
    ) -> None:
        super().__init__(scope, "Alarms")
        self.config = config
        self.topic = aws_sns.Topic(self, "Topic", topic_name=f"{config.env}-uptimemonitor-alarms", enforce_ssl=True)
        if config.alarm_email:
            self.topic.add_subscription(EmailSubscription(config.alarm_email))
        self._metrics: list[aws_cloudwatch.Metric] = []
        self._core(core)
        self._data(data)
        pairs = list(events.queues.items()) + ([(edge.mail.pair.queue.node.id, edge.mail.pair)] if edge.mail else [])
        for name, pair in pairs:
            noun = name.removeprefix(f"{config.env}-uptimemonitor-")
            self._alarm(f"{noun}-dead", pair.dead.metric_approximate_number_of_messages_visible(period=MINUTE), 0, 1)
            self._alarm(f"{noun}-old", pair.queue.metric_approximate_age_of_oldest_message(period=MINUTE), 3600 * 8, 5)
        functions = {
            "ping": edge.ping,
            "alert-dispatch": edge.dispatch,
            **({"ping-mail": edge.mail.function} if edge.mail else {}),
        }
        for noun, function in functions.items():
            self._alarm(f"{noun}-errors", function.function.metric_errors(period=MINUTE), 0, 5)
            self._alarm(f"{noun}-throttled", function.function.metric_throttles(period=MINUTE), 0, 5)
        self._alarm("ping-5xx", edge.api.metric_server_error(period=MINUTE), 0, 3)
        self._dashboard()

    def _core(self, core: CoreStack) -> None:
        for noun, service in (("web", core.web), ("worker", core.worker), ("control", core.control)):
            dimensions = {"ClusterName": core.cluster.cluster_name, "ServiceName": service.service_name}
            running = aws_cloudwatch.Metric(**RUNNING[self.config.detailed_metrics], period=MINUTE, dimensions_map=dimensions)
            self._alarm(f"{noun}-no-task", running, 1, 2, comparison=BELOW, missing=MISSING_IS_BAD)
        self._alarm("targets-unhealthy", core.web_targets.metrics.unhealthy_host_count(period=MINUTE, statistic="Maximum"), 0, 2)
        self._alarm("queue-long", core.queue_length, 1000, 10)
        self._alarm("nothing-scheduled", core.queue_length, -1, 10, comparison=BELOW, missing=MISSING_IS_BAD)

    def _data(self, data: DataStack) -> None:
        database = data.database
        self._alarm("database-cpu", database.metric_cpu_utilization(period=MINUTE), 90, 5)
        free = database.metric_free_storage_space(period=MINUTE, statistic="Minimum")
        self._alarm("database-disk", free, 0.15 * self.config.database_gib * GIB, 5, comparison=BELOW)

    def _alarm(
        self, noun: str, metric: aws_cloudwatch.Metric, threshold: float, minutes: int, *,
        comparison: aws_cloudwatch.ComparisonOperator = ABOVE, missing: aws_cloudwatch.TreatMissingData = MISSING_IS_FINE,
    ) -> None:  # fmt: skip
        """An alarm that goes off when every minute of `minutes` was bad."""
        alarm = metric.create_alarm(
            self, noun, alarm_name=f"{self.config.env}-uptimemonitor-{noun}", threshold=threshold, evaluation_periods=minutes,
            comparison_operator=comparison, treat_missing_data=missing,
        )  # fmt: skip
        action = SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        self._metrics.append(metric)

    def _dashboard(self) -> None:
        board = aws_cloudwatch.Dashboard(self, "Dashboard", dashboard_name=f"{self.config.env}-uptimemonitor")
        for row in _rows(self._metrics, 3):
            board.add_widgets(*(aws_cloudwatch.GraphWidget(left=[metric], width=8) for metric in row))


def _rows(metrics: list[aws_cloudwatch.Metric], width: int) -> Iterable[list[aws_cloudwatch.Metric]]:
    return (metrics[start : start + width] for start in range(0, len(metrics), width))
