"""The estate, row by row: what was specified, and what the templates say."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cdk.capacity import INSTANCE_TYPES
from cdk.draft4 import draft4
from core.contracts.names import EVENT_SOURCE, Names
from core.contracts.queues import RETENTION_S, mail_events, mails, queues, tasks
from core.contracts.tables import tables
from tests.infra.estates import ROOT, Estate, estate, statements

pytestmark = pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source

type Row = Callable[[Estate, Estate, Estate], None]
ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    """A row of the specification: prod, prod with every switch, staging."""

    def add(check: Row) -> Row:
        ROWS[name] = check
        return check

    return add


def ingress(one: Estate) -> set[tuple[str, int | None, str]]:
    """Group, port and where from, of everything that may come in."""
    names = {name: properties["GroupDescription"].split(": ")[1] for _, name, properties in groups(one)}

    def named(reference: dict[str, list[str]]) -> str:
        return str(names[reference["Fn::GetAtt"][0]])

    found = {
        (names[name], rule.get("FromPort"), rule.get("CidrIp") or rule["CidrIpv6"])
        for _, name, properties in groups(one)
        for rule in properties.get("SecurityGroupIngress", [])
    }
    rules = one.all("AWS::EC2::SecurityGroupIngress", "network")
    return found | {(named(rule["GroupId"]), rule.get("FromPort"), named(rule["SourceSecurityGroupId"])) for rule in rules}


def groups(one: Estate) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (stack, name, resource["Properties"]) for stack, name, resource in one.resources("AWS::EC2::SecurityGroup", "network")
    ]


def egress(one: Estate, noun: str) -> set[tuple[str, int, int, str]]:
    """Protocol, ports and address of what a group may reach outside."""
    [group] = [properties for _, _, properties in groups(one) if properties["GroupDescription"].endswith(f": {noun}")]
    return {
        (rule["IpProtocol"], rule.get("FromPort", 0), rule.get("ToPort", 0), rule.get("CidrIp") or rule["CidrIpv6"])
        for rule in group.get("SecurityGroupEgress", [])
    }


@row("VPC")
def vpc(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert prod.one("AWS::EC2::VPC")["CidrBlock"] == "10.0.0.0/16"
    subnets = {(one["CidrBlock"], one["AvailabilityZone"]) for one in prod.all("AWS::EC2::Subnet")}
    assert subnets == {(f"10.0.{n}.0/24", f"eu-west-1{'ab'[(n - 1) % 2]}") for n in (1, 2, 3, 4)}
    assert [len(one.all("AWS::EC2::NatGateway")) for one in (prod, everything, staging)] == [1, 2, 1]
    assert len(prod.all("AWS::EC2::EgressOnlyInternetGateway")) == 1
    assert len(prod.all("AWS::EC2::FlowLog")) == 1


@row("ECS")
def ecs(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert prod.one("AWS::ECS::Cluster")["ClusterName"] == "prod-uptimemonitor-cluster"
    wanted = {
        one["ServiceName"].removeprefix("prod-uptimemonitor-"): one["DesiredCount"] for one in prod.all("AWS::ECS::Service")
    }
    assert wanted == {"web": 2, "worker": 2, "control": 2, "prometheus": 1, "grafana": 1, "alertmanager": 1}
    tasks = {one["Family"].removeprefix("prod-uptimemonitor-"): one for one in prod.all("AWS::ECS::TaskDefinition")}
    assert {one["NetworkMode"] for one in tasks.values()} == {"awsvpc"}
    assert [one["Name"] for one in tasks["control"]["ContainerDefinitions"]] == ["schedule", "inbox", "beat"]
    watchers = [tasks[noun] for noun in ("prometheus", "grafana", "alertmanager")]
    assert {(one["Cpu"], one["Memory"]) for one in watchers} == {("512", "1024")}
    assert "--storage.tsdb.retention.time=30d" in json.dumps(tasks["prometheus"])
    assert all(container["ReadonlyRootFilesystem"] for one in tasks.values() for container in one["ContainerDefinitions"])
    templates = json.dumps(prod.all("AWS::EC2::LaunchTemplate"))
    assert "KeyName" not in templates
    assert '"HttpTokens": "required"' in templates
    for service in prod.all("AWS::ECS::Service", "core"):
        assert service["DeploymentConfiguration"]["MinimumHealthyPercent"] == 50
        assert service["DeploymentConfiguration"]["MaximumPercent"] == 200
        assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    prometheus = prod.one("AWS::ECS::Service", ServiceName="prod-uptimemonitor-prometheus")["DeploymentConfiguration"]
    assert (prometheus["MinimumHealthyPercent"], prometheus["MaximumPercent"]) == (0, 100)


@row("placement")
def placement(prod: Estate, everything: Estate, staging: Estate) -> None:
    for one in (prod, everything, staging):
        kind = INSTANCE_TYPES[one.config.instance_class]
        instances = one.all("AWS::AutoScaling::AutoScalingGroup")
        services = one.all("AWS::ECS::Service", "core")
        most = one.config.max_tasks * 2 + one.config.control_tasks
        assert sum(int(group["MinSize"]) for group in instances) * kind.tasks >= sum(
            service["DesiredCount"] for service in services
        )
        assert sum(int(group["MaxSize"]) for group in instances) * kind.tasks > most
        for task in one.all("AWS::ECS::TaskDefinition", "core"):
            containers = task["ContainerDefinitions"]
            assert sum(container["Memory"] for container in containers) * kind.tasks <= kind.memory_mib
            assert sum(container["Cpu"] for container in containers) * kind.tasks <= kind.cpu


@row("scaling")
def scaling(prod: Estate, everything: Estate, staging: Estate) -> None:
    for target in prod.all("AWS::ApplicationAutoScaling::ScalableTarget"):
        assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 10)
    policies = prod.all("AWS::ApplicationAutoScaling::ScalingPolicy")
    cpu = [one["TargetTrackingScalingPolicyConfiguration"] for one in policies if one["PolicyType"] == "TargetTrackingScaling"]
    assert [(one["TargetValue"], one["ScaleInCooldown"], one["ScaleOutCooldown"]) for one in cpu] == [(70, 300, 300)] * 2
    thresholds = {
        (one["Threshold"], one["EvaluationPeriods"], one["ComparisonOperator"][:7])
        for one in prod.all("AWS::CloudWatch::Alarm", "core")
    }
    assert thresholds == {(10, 5, "LessTha"), (100, 5, "Greater")}
    provider = prod.one("AWS::ECS::CapacityProvider")["AutoScalingGroupProvider"]
    assert provider["ManagedScaling"]["TargetCapacity"] == 80
    assert provider["ManagedDraining"] == "ENABLED"
    assert prod.one("AWS::AutoScaling::ScalingPolicy")["TargetTrackingConfiguration"]["TargetValue"] == 75
    assert len(everything.all("AWS::ECS::CapacityProvider")) == 2


@row("ALB")
def alb(prod: Estate, everything: Estate, staging: Estate) -> None:
    listeners = {one["Port"]: one for one in prod.all("AWS::ElasticLoadBalancingV2::Listener")}
    assert listeners[80]["DefaultActions"][0]["RedirectConfig"] == {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}
    assert listeners[443]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    web = prod.one("AWS::ElasticLoadBalancingV2::TargetGroup", "core")
    assert (web["Port"], web["HealthCheckPath"], web["Matcher"]) == (8000, "/health/", {"HttpCode": "200"})
    assert (web["HealthyThresholdCount"], web["UnhealthyThresholdCount"]) == (2, 3)
    assert (web["HealthCheckTimeoutSeconds"], web["HealthCheckIntervalSeconds"]) == (5, 30)
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "30"} in web["TargetGroupAttributes"]
    rule = prod.one("AWS::ElasticLoadBalancingV2::ListenerRule")
    assert rule["Conditions"] == [{"Field": "host-header", "HostHeaderConfig": {"Values": ["grafana.example.com"]}}]
    assert [one["Port"] for one in staging.all("AWS::ElasticLoadBalancingV2::Listener")] == [80]


@row("alb_sg")
def alb_group(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert {rule for rule in ingress(prod) if rule[0] == "alb"} == {
        ("alb", port, where) for port in (80, 443) for where in ("0.0.0.0/0", "::/0")
    }
    assert egress(prod, "alb") == set()  # to groups alone


@row("ecs_app_sg")
def app_group(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert {rule[1:] for rule in ingress(prod) if rule[0] == "app"} == {
        (8000, "alb"), (None, "app"), *((port, "monitoring") for port in (8000, 9101, 9102, 9103)),
    }  # fmt: skip
    assert {rule[1:3] for rule in egress(prod, "app")} == {(80, 80), (443, 443)}


@row("ecs_checker_sg")
def checker_group(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert [rule for rule in ingress(prod) if rule[0] == "checker"] == []
    v4 = {rule[:3] for rule in egress(prod, "checker") if rule[3] == "0.0.0.0/0"}
    assert v4 == {rule[:3] for rule in egress(prod, "checker") if rule[3] == "::/0"}
    assert v4 == {("tcp", 0, 65535), ("udp", 53, 53), ("udp", 443, 443)}
    worker = prod.one("AWS::ECS::Service", ServiceName="prod-uptimemonitor-worker")
    web = prod.one("AWS::ECS::Service", ServiceName="prod-uptimemonitor-web")
    count = [len(one["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]) for one in (worker, web)]
    assert count == [2, 1]


@row("ecs_monitoring_sg")
def monitoring_group(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert {rule[1:] for rule in ingress(prod) if rule[0] == "monitoring"} == {(9090, "app"), (3000, "alb"), (None, "monitoring")}
    assert {rule[1:3] for rule in egress(prod, "monitoring")} == {(443, 443)}


@row("rds_sg, redis_sg")
def data_groups(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert {rule for rule in ingress(prod) if rule[0] in ("database", "cache")} == {
        ("database", 5432, "app"),
        ("cache", 6379, "app"),
    }
    for noun in ("database", "cache"):
        assert {rule[3] for rule in egress(prod, noun)} == {"255.255.255.255/32"}  # how CloudFormation says: nowhere


@row("RDS")
def rds(prod: Estate, everything: Estate, staging: Estate) -> None:
    one, small = prod.one("AWS::RDS::DBInstance"), staging.one("AWS::RDS::DBInstance")
    assert (one["Engine"], one["EngineVersion"].split(".")[0], one["DBInstanceClass"]) == ("postgres", "16", "db.t3.medium")
    assert (one["MultiAZ"], small["MultiAZ"]) == (True, False)
    assert (one["StorageEncrypted"], one["PreferredBackupWindow"], one["BackupRetentionPeriod"]) == (True, "03:00-03:30", 7)
    assert one["AutomaticBackupReplicationRegion"] == "eu-central-1"
    assert one["DBInstanceIdentifier"] == "prod-uptimemonitor"  # what is restored takes this name
    assert "AutomaticBackupReplicationRegion" not in small
    assert (one["DeletionProtection"], small["DeletionProtection"]) == (True, False)
    assert prod.one("AWS::RDS::DBParameterGroup")["Parameters"]["rds.force_ssl"] == "1"
    assert len(everything.all("AWS::RDS::DBInstance")) == 2


@row("Redis")
def redis(prod: Estate, everything: Estate, staging: Estate) -> None:
    one = prod.one("AWS::ElastiCache::ReplicationGroup")
    assert (one["EngineVersion"], one["CacheNodeType"], one["NumCacheClusters"]) == ("7.1", "cache.t3.medium", 2)
    assert "NumNodeGroups" not in one
    assert (one["SnapshotWindow"][:5], one["TransitEncryptionEnabled"], one["AtRestEncryptionEnabled"]) == ("03:00", True, True)
    assert "resolve:secretsmanager" in json.dumps(one["AuthToken"])


@row("EFS")
def efs(prod: Estate, everything: Estate, staging: Estate) -> None:
    one = prod.one("AWS::EFS::FileSystem")
    assert (one["PerformanceMode"], one["ThroughputMode"], one["Encrypted"]) == ("generalPurpose", "bursting", True)
    assert one["BackupPolicy"] == {"Status": "ENABLED"}
    [volume] = [
        volume["EFSVolumeConfiguration"]
        for task in prod.all("AWS::ECS::TaskDefinition")
        for volume in task.get("Volumes", [])
        if "EFSVolumeConfiguration" in volume
    ]
    assert (volume["TransitEncryption"], volume["AuthorizationConfig"]["IAM"]) == ("ENABLED", "ENABLED")


@row("Cloud Map")
def cloud_map(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert prod.one("AWS::ServiceDiscovery::PrivateDnsNamespace")["Name"] == "uptimemonitor.local"
    names = {one["Name"] for one in prod.all("AWS::ServiceDiscovery::Service")}
    assert names == {"web", "worker", "control", "prometheus", "grafana", "alertmanager"}
    scraped = (ROOT / "cdk/assets/prometheus/prometheus.yml").read_text(encoding="utf-8")
    assert all(f"{noun}.uptimemonitor.local" in scraped for noun in ("web", "worker", "control", "alertmanager"))


@row("Secrets Manager")
def secrets(prod: Estate, everything: Estate, staging: Estate) -> None:
    names = {one["Name"].removeprefix("prod/uptimemonitor/") for one in prod.all("AWS::SecretsManager::Secret")}
    assert names >= {
        "database-admin",
        "database",
        "redis-url",
        "django-secret-key",
        "channel-vault-keys",
        "slack-webhook",
        "metrics-token",
    }
    assert len(prod.all("AWS::SecretsManager::RotationSchedule")) == 2
    assert Names("prod").vault_key_secret in {one["Name"] for one in prod.all("AWS::SecretsManager::Secret")}
    for task in prod.all("AWS::ECS::TaskDefinition", "core"):
        for container in task["ContainerDefinitions"]:
            injected = {one["Name"] for one in container["Secrets"]}
            assert injected >= {"PGUSER", "PGPASSWORD", "REDIS_URL", "CHANNEL_VAULT_KEYS"}
            assert ("SECRET_KEY" in injected) == (container["Name"] in ("web", "migrate"))
            assert "password" not in json.dumps(container["Environment"]).lower()


@row("IAM")
def iam(prod: Estate, everything: Estate, staging: Estate) -> None:
    """Every wildcard is one of these; AWS has none narrower for the actions."""
    allowed = {
        "ecr:GetAuthorizationToken", "ecs:DiscoverPollEndpoint", "sns:Publish", "ecs:Submit*", "ecs:Poll", "ecs:StartTelemetrySession",
        "ecs:UpdateContainerInstancesState", "logs:CreateLogStream", "logs:PutLogEvents",
    }  # fmt: skip
    for one in (prod, everything, staging):
        for properties in one.all("AWS::IAM::Policy"):
            for statement in statements(properties):
                assert "*" not in statement["Action"]
                if statement["Resource"] == ["*"]:
                    assert set(statement["Action"]) <= allowed, properties["PolicyName"]
    managed = {json.dumps(arn) for role in prod.all("AWS::IAM::Role") for arn in role.get("ManagedPolicyArns", [])}
    assert {arn.rsplit("/", 1)[1].split('"')[0] for arn in managed} == {
        "AmazonSSMManagedInstanceCore",
        "AWSBackupServiceRolePolicyForBackup",
    }


@row("edge")
def edge(prod: Estate, everything: Estate, staging: Estate) -> None:
    names = Names("prod")
    assert prod.one("AWS::Events::EventBus")["Name"] == names.bus
    assert prod.one("AWS::Events::Archive")["EventPattern"] == {"source": [EVENT_SOURCE]}
    functions = {
        one["FunctionName"].removeprefix("prod-uptimemonitor-"): one for one in everything.all("AWS::Lambda::Function", "edge")
    }
    assert {noun: one["Handler"] for noun, one in functions.items()} == {
        "ping": "lambdas.ping.app.app",
        "alert-dispatch": "lambdas.alert_dispatch.handler.handler",
        "ping-mail": "lambdas.ping.mail.mail_handler",
    }
    assert [one["Architectures"] for one in prod.all("AWS::Lambda::Function", "edge")] == [["arm64"]] * 2
    made = {one["TableName"]: one for one in prod.all("AWS::DynamoDB::Table")}
    for table in tables(names):
        one = made.pop(table.name)
        keys = [key["AttributeName"] for key in one["KeySchema"]]
        assert keys == [table.partition.name, *([table.sort.name] if table.sort else [])]
        assert one.get("TimeToLiveSpecification", {}).get("AttributeName") == table.ttl
        assert one["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert made == {}


@row("alerts queue")
def all_queues(prod: Estate, everything: Estate, staging: Estate) -> None:
    names = Names("prod")
    made = {one["QueueName"]: one for one in everything.all("AWS::SQS::Queue")}
    wanted = [*queues(names), mail_events(names), mails(names), *tasks(names)]
    assert set(made) == {name for queue in wanted for name in (queue.name, Names.dead_letters(queue.name))}
    for queue in wanted:
        one = made[queue.name]
        assert one["RedrivePolicy"]["maxReceiveCount"] == queue.max_receives
        assert (one["VisibilityTimeout"], one["MessageRetentionPeriod"], one["SqsManagedSseEnabled"]) == (
            queue.visibility_s,
            RETENTION_S,
            True,
        )
        assert made[Names.dead_letters(queue.name)]["MessageRetentionPeriod"] == RETENTION_S
    assert queues(names)[1].max_receives >= 60
    patterns = {json.dumps(one["EventPattern"], sort_keys=True) for one in prod.all("AWS::Events::Rule", "events")}
    assert patterns == {
        json.dumps(
            {"detail-type": list(queue.detail_types), "source": [EVENT_SOURCE if queue in queues(names) else "aws.ses"]},
            sort_keys=True,
        )
        for queue in (*queues(names), mail_events(names))
    }
    for rule in prod.all("AWS::Events::Rule", "events"):
        assert [("DeadLetterConfig" in target) for target in rule["Targets"]] == [True]
    mapping = prod.one("AWS::Lambda::EventSourceMapping")
    assert (mapping["BatchSize"], mapping["FunctionResponseTypes"]) == (1, ["ReportBatchItemFailures"])


@row("ping edge")
def ping_edge(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert prod.one("AWS::ApiGateway::DomainName")["DomainName"] == "ping.example.com"
    assert prod.one("AWS::ApiGateway::BasePathMapping")["BasePath"] == "api"
    paths = [one["PathPart"] for one in prod.all("AWS::ApiGateway::Resource")]
    assert paths == ["ping", "{token}", "{name}", "{action}"]
    assert prod.one("AWS::ApiGateway::RestApi")["BinaryMediaTypes"] == ["*/*"]
    stage = prod.one("AWS::ApiGateway::Stage")
    assert stage["StageName"] == "api"
    assert stage["MethodSettings"][0]["ThrottlingRateLimit"] > 0
    assert "DestinationArn" in stage["AccessLogSetting"]
    [rule] = prod.one("AWS::WAFv2::WebACL")["Rules"]
    assert rule["Statement"]["RateBasedStatement"]["Limit"] >= 20_000
    assert len(prod.all("AWS::WAFv2::WebACLAssociation")) == 1
    domain = everything.one("AWS::SES::ReceiptRule")["Rule"]
    assert (domain["Recipients"], domain["ScanEnabled"]) == (["ping.example.com"], False)
    assert everything.one("AWS::Route53::RecordSet", Type="MX")["ResourceRecords"] == ["10 inbound-smtp.eu-west-1.amazonaws.com"]
    assert staging.all("AWS::ApiGateway::DomainName") == []


@row("deploy")
def deploy(prod: Estate, everything: Estate, staging: Estate) -> None:
    rules = json.loads(prod.one("AWS::ECR::Repository")["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["selection"].get("tagPrefixList") for rule in rules] == [["latest"], None]
    assert rules[1]["selection"]["countNumber"] == 90
    trust = everything.one("AWS::IAM::Role", "delivery")["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]
    assert trust["token.actions.githubusercontent.com:sub"] == "repo:someone/uptime:environment:prod"
    imported = json.dumps(prod.templates["delivery"])
    assert "Fn::ImportValue" not in imported  # the first deployment needs nothing else


@row("images")
def images(prod: Estate, everything: Estate, staging: Estate) -> None:
    def used(one: Estate) -> set[str]:
        tasks = one.all("AWS::ECS::TaskDefinition", "core")
        return {str(container["Image"]["Fn::Join"][1][-1]) for task in tasks for container in task["ContainerDefinitions"]}

    assert used(prod) == {"/prod-uptimemonitor:latest"}
    assert used(everything) == {"/prod-uptimemonitor@sha256:" + "a" * 64}


@row("environments")
def environments(prod: Estate, everything: Estate, staging: Estate) -> None:
    assert {"prod", "staging"} == {one.config.env for one in (prod, staging)}
    names = json.dumps([one.get("QueueName") for one in staging.all("AWS::SQS::Queue")])
    assert "prod" not in names


@row("alarms")
def alarms(prod: Estate, everything: Estate, staging: Estate) -> None:
    made = {
        one["AlarmName"].removeprefix("prod-uptimemonitor-"): one
        for one in everything.all("AWS::CloudWatch::Alarm", "monitoring")
    }

    def goes_off(noun: str) -> tuple[float, int]:
        return made[noun]["Threshold"], made[noun]["EvaluationPeriods"] * made[noun].get("Period", 60) // 60

    assert goes_off("database-cpu") == (90, 5)
    assert goes_off("queue-long") == (1000, 10)
    assert goes_off("targets-unhealthy")[0] == 0
    assert [goes_off(f"{noun}-no-task")[0] for noun in ("web", "worker", "control")] == [1, 1, 1]
    assert made["database-disk"]["Threshold"] == pytest.approx(0.15 * 50 * 1024**3)
    dead = [noun for noun in made if noun.endswith("-dead")]
    assert len(dead) == 9
    silent = ("nothing-scheduled", "checks-late", "silence-late", "outbox-old", "disk-full", "backup-missing")
    assert {made[noun]["TreatMissingData"] for noun in silent} == {"breaching"}
    assert (goes_off("checks-late"), goes_off("silence-late"), goes_off("outbox-old")) == ((300, 5), (600, 5), (300, 5))
    assert goes_off("disk-full") == (85, 5)
    assert {goes_off(f"{noun}-disk")[0] for noun in ("prometheus", "grafana", "alertmanager")} == {0.85 * 20}
    assert made["files-slow"]["MetricName"] == "BurstCreditBalance"
    assert (made["backup-missing"]["Period"], made["backup-missing"]["Threshold"]) == (3 * 3600, 1)
    assert all(one["AlarmActions"] for one in made.values())


@row("security")
def security(prod: Estate, everything: Estate, staging: Estate) -> None:
    trail = prod.one("AWS::CloudTrail::Trail")
    assert (trail["IsMultiRegionTrail"], trail["EnableLogFileValidation"]) == (True, True)
    assert trail["S3KeyPrefix"] == "cloudtrail"
    flows = prod.one("AWS::EC2::FlowLog")
    assert (flows["TrafficType"], flows["LogDestinationType"]) == ("ALL", "cloud-watch-logs")
    logs = prod.all("AWS::Logs::LogGroup")
    assert all(one["RetentionInDays"] == 7 and "KmsKeyId" in one for one in logs)
    assert all("BucketEncryption" in one for one in everything.all("AWS::S3::Bucket"))
    [rule] = [
        one["LifecycleConfiguration"]["Rules"][0]
        for one in prod.all("AWS::S3::Bucket")
        if "uptimemonitor-logs" in one["BucketName"]
    ]
    assert (rule["ExpirationInDays"], rule["Transitions"]) == (90, [{"StorageClass": "GLACIER", "TransitionInDays": 30}])


@row("recovery")
def recovery(prod: Estate, everything: Estate, staging: Estate) -> None:
    rules = {one["RuleName"]: one for one in prod.one("AWS::Backup::BackupPlan")["BackupPlan"]["BackupPlanRule"]}
    assert rules["nightly"]["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert rules["hourly"]["ScheduleExpression"] == "cron(30 * * * ? *)"
    [copy] = rules["hourly"]["CopyActions"]
    vault = prod.one("AWS::Backup::BackupVault", "recovery")["BackupVaultName"]
    assert copy["DestinationBackupVaultArn"] == f"arn:aws:backup:eu-central-1:123456789012:backup-vault:{vault}"
    chosen = prod.one("AWS::Backup::BackupSelection")["BackupSelection"]["Resources"]
    assert len(chosen) == 2 + len(prod.all("AWS::DynamoDB::Table"))  # database and files, too
    alias = prod.one("AWS::KMS::Alias", "recovery")["AliasName"]
    assert str(alias) in json.dumps(prod.one("AWS::RDS::DBInstance")["AutomaticBackupReplicationKmsKeyId"])
    assert "recovery" in prod.templates
    assert "recovery" not in staging.templates


@row("CloudFront")
def cloudfront(prod: Estate, everything: Estate, staging: Estate) -> None:
    one = everything.one("AWS::CloudFront::Distribution")["DistributionConfig"]
    assert [behaviour["PathPattern"] for behaviour in one["CacheBehaviors"]] == ["/status/*", "/static/*"]
    assert one["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert "pages" not in prod.templates


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str) -> None:
    ROWS[name](estate("prod"), estate("everything"), estate("staging"))


LINTED = ("everything", "staging, lean", "dev")
"""Every switch is on in one of them, and none in the last."""


def test_cfn_lint_finds_nothing() -> None:
    """W3005: the CDK writes dependencies that follow anyway. W3010: zones are written down, because looking them up would ask AWS."""
    templates = [str(path) for name in LINTED for path in estate(name).folder.glob("*.template.json")]
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3005", "W3010", "--", *templates]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schemas_in_the_registry_are_ours_in_draft_4() -> None:
    made = {one["SchemaName"]: json.loads(one["Content"]) for one in estate("prod").all("AWS::EventSchemas::Schema")}
    files = sorted((ROOT / "core/contracts/schemas").glob("*.json"))
    assert set(made) == {f"{EVENT_SOURCE}@{path.stem}" for path in files}
    for path in files:
        schema = made[f"{EVENT_SOURCE}@{path.stem}"]
        original = path.read_text(encoding="utf-8")
        assert schema == draft4(json.loads(original))
        assert [
            word for word in ('"const"', '"exclusiveMinimum"', '"exclusiveMaximum"', '"if"', '"prefixItems"') if word in original
        ] == []
        jsonschema.Draft4Validator.check_schema(schema)
        assert "$defs" not in json.dumps(schema)
