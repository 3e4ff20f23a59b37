"""Who watches the watchman: Prometheus, Grafana and Alertmanager on Fargate, CloudTrail, and the alarms of CloudWatch."""

from aws_cdk import aws_cloudtrail, aws_secretsmanager
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct

from cdk.config import Config
from cdk.stacks.alarms import Alarms
from cdk.stacks.core import CoreStack
from cdk.stacks.data import DataStack
from cdk.stacks.edge import EdgeStack
from cdk.stacks.estate_stack import EstateStack, accept
from cdk.stacks.events import EventsStack
from cdk.stacks.network import ALERTMANAGER_PORT, GRAFANA_PORT, PROMETHEUS_PORT, NetworkStack
from cdk.stacks.watchers import Watcher, Watchers

PROMETHEUS = "quay.io/prometheus/prometheus:v3.5.0"
ALERTMANAGER = "quay.io/prometheus/alertmanager:v0.28.1"
GRAFANA = "docker.io/grafana/grafana:12.0.2"


class MonitoringStack(EstateStack):
    """Fails without anybody but its readers noticing; that is why the alarms are CloudWatch's."""

    def __init__(
        self, scope: Construct, config: Config, *, network: NetworkStack, data: DataStack, events: EventsStack, edge: EdgeStack,
        core: CoreStack,
    ) -> None:  # fmt: skip
        super().__init__(scope, "monitoring", config)
        self.slack = self._secret("SlackWebhook", "slack-webhook", "Set by hand: the incoming webhook of a Slack channel.")
        self.password = self._secret("GrafanaPassword", "grafana-password", "The password of Grafana's administrator.")
        watchers = Watchers(self, config, network, core.cluster, data.archive)
        watchers.run(
            Watcher("prometheus", PROMETHEUS, PROMETHEUS_PORT, uid="65534", data_path="/prometheus", files=data.prometheus_files),
            command=[
                "--config.file=/config/prometheus.yml", "--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=30d",
                "--web.enable-lifecycle",
            ],
            written={"metrics-token": data.metrics_token},
        )  # fmt: skip
        watchers.run(
            Watcher("alertmanager", ALERTMANAGER, ALERTMANAGER_PORT, uid="65534", data_path="/alertmanager"),
            command=["--config.file=/config/alertmanager.yml", "--storage.path=/alertmanager"],
            written={"slack-webhook": self.slack},
        )
        grafana = watchers.run(
            Watcher("grafana", GRAFANA, GRAFANA_PORT, uid="472", data_path="/var/lib/grafana"),
            environment={
                "GF_PATHS_PROVISIONING": "/config/provisioning", "GF_USERS_ALLOW_SIGN_UP": "false",
                "GF_ANALYTICS_REPORTING_ENABLED": "false",
                "GF_SERVER_ROOT_URL": f"https://{config.grafana_host}" if config.domain else "http://localhost:3000",
            },
            secrets={"GF_SECURITY_ADMIN_PASSWORD": self.password},
        )  # fmt: skip
        if config.domain:
            group = elb.ApplicationTargetGroup(
                self, "Grafana", vpc=network.vpc, port=GRAFANA_PORT, protocol=elb.ApplicationProtocol.HTTP, target_type=elb.TargetType.IP,
                targets=[grafana.load_balancer_target(container_name="grafana", container_port=GRAFANA_PORT)],
                health_check=elb.HealthCheck(path="/api/health"),
            )  # fmt: skip
            elb.ApplicationListenerRule(
                self, "GrafanaHost", listener=core.listener, priority=10, target_groups=[group],
                conditions=[elb.ListenerCondition.host_headers([config.grafana_host])],
            )  # fmt: skip
        aws_cloudtrail.Trail(
            self, "Trail", trail_name=f"{config.env}-uptimemonitor", bucket=data.logs, s3_key_prefix="cloudtrail",
            is_multi_region_trail=True, include_global_service_events=True, enable_file_validation=True,
        )  # fmt: skip
        Alarms(self, config, data=data, events=events, edge=edge, core=core)

    def _secret(self, noun: str, name: str, what: str) -> aws_secretsmanager.Secret:
        letters = aws_secretsmanager.SecretStringGenerator(password_length=40, exclude_punctuation=True)
        secret = aws_secretsmanager.Secret(
            self, noun, secret_name=f"{self.config.env}/uptimemonitor/{name}", description=what, generate_secret_string=letters
        )
        accept(secret, {"AwsSolutions-SMG4": "Belongs to somebody else's service or to a person, who change it there."})
        return secret
