"""What the lean profile gives up, and what it does not."""

import json

import pytest

from tests.infra.estates import estate

pytestmark = pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source


def test_lean_is_as_available_as_specified() -> None:
    for name in ("prod", "lean"):
        one = estate(name)
        assert one.one("AWS::RDS::DBInstance")["MultiAZ"]
        cache = one.one("AWS::ElastiCache::ReplicationGroup")
        assert (cache["NumCacheClusters"], cache["MultiAZEnabled"], cache["AutomaticFailoverEnabled"]) == (2, True, True)
        assert [service["DesiredCount"] for service in one.all("AWS::ECS::Service", "core")] == [2, 2, 2]
        for group in one.all("AWS::AutoScaling::AutoScalingGroup"):
            assert int(group["MinSize"]) >= 2
            assert len(group["VPCZoneIdentifier"]) == 2
        assert len(one.all("AWS::EC2::NatGateway")) == 1
        assert one.one("AWS::Backup::BackupPlan") == estate("prod").one("AWS::Backup::BackupPlan")
    [mixed] = [
        one["MixedInstancesPolicy"]
        for one in estate("lean").all("AWS::AutoScaling::AutoScalingGroup")
        if "MixedInstancesPolicy" in one
    ]
    assert mixed["InstancesDistribution"]["OnDemandBaseCapacity"] == 1  # Spot never has the last worker


def test_all_of_lean_is_built_for_one_architecture() -> None:
    one = estate("lean")
    platforms = {task["RuntimePlatform"]["CpuArchitecture"] for task in one.all("AWS::ECS::TaskDefinition", "monitoring")}
    images = {value["Default"] for value in one.templates["core"]["Parameters"].values() if "ecs/optimized-ami" in str(value)}

    assert platforms == {"ARM64"}
    assert images == {"/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id"}


def test_who_counts_no_containers_still_hears_that_none_is_there() -> None:
    """ECS sends a sample of the CPU for each task that runs, and none when none does."""
    alarms = {one["AlarmName"]: one for one in estate("lean").all("AWS::CloudWatch::Alarm", "monitoring")}

    for noun in ("web", "worker", "control"):
        alarm = alarms[f"prod-uptimemonitor-{noun}-no-task"]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/ECS", "CPUUtilization", "SampleCount")
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
        assert (alarm["Period"], alarm["TreatMissingData"]) == (60, "breaching")
    disk = alarms["prod-uptimemonitor-database-disk"]
    assert disk["Threshold"] == pytest.approx(0.15 * 20 * 1024**3)


def test_nat_on_instances_lets_the_vpc_out_and_nobody_in() -> None:
    one = estate("staging, lean")
    [nat] = one.all("AWS::EC2::Instance")
    [group] = [group for group in one.all("AWS::EC2::SecurityGroup", "network") if "NAT" in group["GroupDescription"]]
    ways = [
        route
        for route in one.all("AWS::EC2::Route")
        if route.get("DestinationCidrBlock") == "0.0.0.0/0" and "InstanceId" in route
    ]

    assert [rule["CidrIp"] for rule in group["SecurityGroupIngress"]] == ["10.0.0.0/16"]
    assert (nat["SourceDestCheck"], nat["MetadataOptions"]["HttpTokens"]) == (False, "required")
    assert [disk["Ebs"]["Encrypted"] for disk in nat["BlockDeviceMappings"]] == [True]
    assert len(ways) == 2  # of both private subnets
    assert one.all("AWS::EC2::NatGateway") == []


def test_a_nat_that_hangs_is_rebooted() -> None:
    [alarm] = estate("staging, lean").all("AWS::CloudWatch::Alarm", "network")

    assert (alarm["MetricName"], alarm["EvaluationPeriods"], alarm["Period"]) == ("StatusCheckFailed_Instance", 3, 60)
    assert "ec2:reboot" in json.dumps(alarm["AlarmActions"])


def test_smaller_watchers_leave_prometheus_its_memory() -> None:
    tasks = {
        one["Family"].rpartition("-")[2]: (one["Cpu"], one["Memory"])
        for one in estate("lean").all("AWS::ECS::TaskDefinition", "monitoring")
    }

    assert tasks == {"prometheus": ("512", "1024"), "grafana": ("256", "512"), "alertmanager": ("256", "512")}


def test_prod_as_specified_is_as_it_was() -> None:
    """The switches of the lean profile are off by default."""
    one = estate("prod")

    assert one.one("AWS::ECS::Cluster")["ClusterSettings"] == [{"Name": "containerInsights", "Value": "enabled"}]
    assert one.one("AWS::EC2::FlowLog")["TrafficType"] == "ALL"
    assert one.one("AWS::ApiGateway::Stage")["MethodSettings"][0]["MetricsEnabled"]
    assert {task["Cpu"] for task in one.all("AWS::ECS::TaskDefinition", "monitoring")} == {"512"}
    assert one.all("AWS::EC2::Instance") == []
