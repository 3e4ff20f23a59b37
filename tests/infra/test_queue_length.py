"""What scales the workers is what a worker says: the metric that the estate reads is the one in the log."""

from datetime import UTC, datetime

from core.checker.embedded_metric import queue_length
from tests.infra.estates import estate

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_the_line_of_the_log_is_the_metric_that_the_estate_reads() -> None:
    prod = estate("prod")
    [worker] = [one for one in prod.all("AWS::ECS::TaskDefinition", "core") if one["Family"] == "prod-uptimemonitor-worker"]
    told = {one["Name"]: one["Value"] for one in worker["ContainerDefinitions"][0]["Environment"]}

    line = queue_length(told["METRICS_NAMESPACE"], told["UPTIME_ENV"], {"checks": 3, "alerts": 4}, NOW)

    assert line["QueueLength"] == 7
    assert line["_aws"]["Timestamp"] == 1_795_867_200_000
    [about] = line["_aws"]["CloudWatchMetrics"]
    for alarm in prod.all("AWS::CloudWatch::Alarm", "core"):
        assert (alarm["Namespace"], alarm["MetricName"]) == (about["Namespace"], about["Metrics"][0]["Name"])
        assert [{"Name": name, "Value": line[name]} for name in about["Dimensions"][0]] == alarm["Dimensions"]
