"""The alarms of CloudWatch, who is told, and a dashboard of the same figures.

Each says in its description what is wrong and where its runbook is: a heading of `docs/runbooks/alarms.md`.
"""

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
from cdk.stacks.tasks import METRICS_NAMESPACE

RUNBOOKS = "https://github.com/uptimemonitor/uptimemonitor/blob/main/docs/runbooks/alarms.md"
WATCHERS = ("prometheus", "alertmanager", "grafana")
FULL_PERCENT = 85
WATCHER_DISK_GB = 20
"""What Fargate gives to a task."""
BURST_BYTES = 2.1e12
"""Credits of a small file system on EFS that has rested."""
MINUTE = Duration.minutes(1)
GIB = 1024**3
ABOVE = aws_cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
BELOW = aws_cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
MISSING_IS_BAD = aws_cloudwatch.TreatMissingData.BREACHING
RUNNING = {
    True: {"namespace": "ECS/ContainerInsights", "name": "RunningTaskCount", "statistic": "Minimum"},
    False: {"namespace": "AWS/ECS", "name": "CPUUtilization", "statistic": "SampleCount"},
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
        self._behind()
        self._data(data)
        self._watchers(core)
        self._backups()
        self._queues(events, edge)
        self._edge(edge)
        self._dashboard()

    def _core(self, core: CoreStack) -> None:
        for noun, service in (("web", core.web), ("worker", core.worker), ("control", core.control)):
            running = self._running(core, service.service_name)
            what = f"No task of {noun} runs."
            self._alarm(f"{noun}-no-task", running, 1, 2, what, runbook="no-task", comparison=BELOW, missing=MISSING_IS_BAD)
        unhealthy = core.web_targets.metrics.unhealthy_host_count(period=MINUTE, statistic="Maximum")
        self._alarm("targets-unhealthy", unhealthy, 0, 2, "The load balancer finds a web task that is not well.")
        self._alarm("queue-long", core.queue_length, 1000, 10, "Tasks come faster than workers take them.")
        self._alarm(
            "nothing-scheduled", core.queue_length, -1, 10, "No worker has said for ten minutes how long the queues are.",
            comparison=BELOW, missing=MISSING_IS_BAD,
        )  # fmt: skip
        self._alarm(
            "disk-full", self._ours("DiskUsed"), FULL_PERCENT, 5, "The disk of an instance is nearly full, or none says how full it is.",
            missing=MISSING_IS_BAD,
        )  # fmt: skip

    def _behind(self) -> None:
        """A dead man's switch on ourselves: who does nothing falls behind, who says nothing is taken for dead."""
        late = "A check was due five minutes ago and is not made, or nobody says when checks were due."
        self._alarm("checks-late", self._ours("CheckDelay"), 300, 5, late, missing=MISSING_IS_BAD)
        undecided = "A heartbeat's deadline passed ten minutes ago and nobody has decided about it, or nobody says so."
        self._alarm("silence-late", self._ours("SilenceDelay"), 600, 5, undecided, missing=MISSING_IS_BAD)
        old = "An event has waited for five minutes for the bus, or nobody says how long events wait: alerts do not leave."
        self._alarm("outbox-old", self._ours("OutboxAge"), 300, 5, old, missing=MISSING_IS_BAD)

    def _data(self, data: DataStack) -> None:
        database = data.database
        self._alarm("database-cpu", database.metric_cpu_utilization(period=MINUTE), 90, 5, "PostgreSQL is short of CPU.")
        free = database.metric_free_storage_space(period=MINUTE, statistic="Minimum")
        left = (1 - FULL_PERCENT / 100) * self.config.database_gib * GIB
        self._alarm("database-disk", free, left, 5, "The disk of PostgreSQL is nearly full.", comparison=BELOW)
        files = {"FileSystemId": data.files.file_system_id}
        credits_left = _metric("AWS/EFS", "BurstCreditBalance", files, "Minimum")
        slow = "Prometheus' files on EFS will soon be as slow as their size allows."
        self._alarm("files-slow", credits_left, BURST_BYTES * (1 - FULL_PERCENT / 100), 15, slow, comparison=BELOW)

        behind = _metric(
            "AWS/Firehose",
            "DeliveryToS3.DataFreshness",
            {"DeliveryStreamName": f"{self.config.env}-uptimemonitor-logs"},
            "Maximum",
        )
        self._alarm("logs-not-kept", behind, 3600, 15, "Logs have waited for an hour on their way to the bucket that keeps them.")

    def _watchers(self, core: CoreStack) -> None:
        for noun in WATCHERS:
            name = f"{self.config.env}-uptimemonitor-{noun}"
            running = self._running(core, name)
            self._alarm(
                f"{noun}-no-task",
                running,
                1,
                5,
                f"{noun} does not run.",
                runbook="no-task",
                comparison=BELOW,
                missing=MISSING_IS_BAD,
            )
            if self.config.detailed_metrics:
                about = {"ClusterName": core.cluster.cluster_name, "ServiceName": name}
                used = _metric("ECS/ContainerInsights", "EphemeralStorageUtilized", about, "Maximum")
                full = WATCHER_DISK_GB * FULL_PERCENT / 100
                self._alarm(f"{noun}-disk", used, full, 5, f"The disk of {noun}'s task is nearly full.", runbook="disk-full")

    def _backups(self) -> None:
        """What the hour between two backups is worth depends on their being made."""
        vault = {"BackupVaultName": self.config.vault()}
        hours = 3 if self.config.dr_region else 24
        made = _metric("AWS/Backup", "NumberOfBackupJobsCompleted", vault, "Sum", Duration.hours(hours))
        self._alarm(
            "backup-missing", made, 1, 1, f"No backup was completed in {hours} hours.", comparison=BELOW, missing=MISSING_IS_BAD
        )
        failed = _metric("AWS/Backup", "NumberOfBackupJobsFailed", vault, "Sum", Duration.hours(1))
        self._alarm("backup-failed", failed, 0, 1, "A backup failed.", runbook="backup-missing")

    def _queues(self, events: EventsStack, edge: EdgeStack) -> None:
        pairs = [*events.queues.values(), *events.task_queues, *([edge.mail.pair] if edge.mail else [])]
        for pair in pairs:
            noun = pair.queue.node.id
            dead = pair.dead.metric_approximate_number_of_messages_visible(period=MINUTE)
            self._alarm(f"{noun}-dead", dead, 0, 1, f"There are dead letters of {noun}.", runbook="dead-letters")
            oldest = pair.queue.metric_approximate_age_of_oldest_message(period=MINUTE)
            self._alarm(
                f"{noun}-old", oldest, 3600 * 8, 5, f"A message has waited for eight hours in {noun}.", runbook="queue-old"
            )

    def _edge(self, edge: EdgeStack) -> None:
        functions = {"ping": edge.ping, "alert-dispatch": edge.dispatch}
        if edge.mail:
            functions["ping-mail"] = edge.mail.function
        for noun, function in functions.items():
            errors, throttles = function.function.metric_errors(period=MINUTE), function.function.metric_throttles(period=MINUTE)
            self._alarm(f"{noun}-errors", errors, 0, 5, f"The function {noun} fails.", runbook="lambda-errors")
            self._alarm(
                f"{noun}-throttled", throttles, 0, 5, f"The function {noun} may not run often enough.", runbook="lambda-throttled"
            )
        self._alarm("ping-5xx", edge.api.metric_server_error(period=MINUTE), 0, 3, "Jobs get errors of ours for their pings.")

    def _ours(self, name: str) -> aws_cloudwatch.Metric:
        """A figure that our own processes write into their logs (`core.adapters.embedded_metric`)."""
        return _metric(METRICS_NAMESPACE, name, {"Environment": self.config.env}, "Maximum")

    def _running(self, core: CoreStack, service: str) -> aws_cloudwatch.Metric:
        """How many tasks of a service run."""
        about = {"ClusterName": core.cluster.cluster_name, "ServiceName": service}
        return _metric(**RUNNING[self.config.detailed_metrics], about=about)

    def _alarm(
        self, noun: str, metric: aws_cloudwatch.Metric, threshold: float, times: int, what: str, *, runbook: str = "",
        comparison: aws_cloudwatch.ComparisonOperator = ABOVE, missing: aws_cloudwatch.TreatMissingData = MISSING_IS_FINE,
    ) -> None:  # fmt: skip
        """An alarm that goes off when the last `times` periods were bad. `runbook` is the heading, where it is not `noun`."""
        alarm = metric.create_alarm(
            self, noun, alarm_name=f"{self.config.env}-uptimemonitor-{noun}", threshold=threshold, evaluation_periods=times,
            comparison_operator=comparison, treat_missing_data=missing, alarm_description=f"{what} {RUNBOOKS}#{runbook or noun}",
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


def _metric(namespace: str, name: str, about: dict[str, str], statistic: str, period: Duration = MINUTE) -> aws_cloudwatch.Metric:
    return aws_cloudwatch.Metric(
        namespace=namespace, metric_name=name, dimensions_map=about, statistic=statistic, period=period
    )  # fmt: skip
