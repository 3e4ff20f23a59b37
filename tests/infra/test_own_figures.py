"""What CloudWatch is told of us is what the estate reads: same namespace, same names, same dimensions."""

from datetime import UTC, datetime

from core.adapters.embedded_metric import QUEUE_LENGTH, UNITS, figures
from tests.infra.estates import estate

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_the_line_of_the_log_is_the_metric_that_the_estate_reads() -> None:
    prod = estate("prod")
    tasks = {one["Family"].removeprefix("prod-uptimemonitor-"): one for one in prod.all("AWS::ECS::TaskDefinition", "core")}
    told = [
        {one["Name"]: one["Value"] for one in container["Environment"]}
        for noun in ("web", "worker", "control")
        for container in tasks[noun]["ContainerDefinitions"]
    ]
    [(namespace, env)] = {(one["METRICS_NAMESPACE"], one["UPTIME_ENV"]) for one in told}

    line = figures(namespace, env, dict.fromkeys(UNITS, 7.0), NOW)

    assert line["_aws"]["Timestamp"] == 1_795_867_200_000
    [about] = line["_aws"]["CloudWatchMetrics"]
    assert all(line[metric["Name"]] == 7.0 for metric in about["Metrics"])
    names = {metric["Name"] for metric in about["Metrics"]}
    alarms = [one for one in prod.all("AWS::CloudWatch::Alarm") if one.get("Namespace") == about["Namespace"]]
    for alarm in alarms:
        assert [{"Name": name, "Value": line[name]} for name in about["Dimensions"][0]] == alarm["Dimensions"]
    assert {alarm["MetricName"] for alarm in alarms} == names
    assert {one["MetricName"] for one in prod.all("AWS::CloudWatch::Alarm", "core")} == {QUEUE_LENGTH}
