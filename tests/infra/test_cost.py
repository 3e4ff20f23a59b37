"""The bill follows from the templates, from prices that say where they were read, and from a model that uses what was measured."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import pytest

from cdk.cost import __main__ as command
from cdk.cost import load as model
from cdk.cost.bill import METERS, Bill, NotPriced, bill
from cdk.cost.document import document
from cdk.cost.free import FREE
from cdk.cost.load import Load
from cdk.cost.prices import PriceTable, UnknownPrice
from cdk.cost.template import Templates
from core import cli
from tests.infra.estates import CONTEXTS, ROOT, estate

pytestmark = pytest.mark.timeout(300)  # the first synthesis compiles 240 MB of source

TABLE = PriceTable.load()
THOUSAND = Load(monitors=1000)
FEW = Load(monitors=50)


def templates(name: str) -> Templates:
    return Templates(estate(name).templates)


def changed(name: str, kind: str, **properties: Any) -> Templates:
    """The templates of an estate with other properties of each resource of a type."""
    copy = json.loads(json.dumps(estate(name).templates))
    found = [one for template in copy.values() for one in template["Resources"].values() if one["Type"] == kind]
    assert found
    for one in found:
        one["Properties"] |= properties
    return Templates(copy)


def usd(one: Bill, kind: str, what: str = "") -> float:
    return sum(line.usd for line in one.lines if line.resource.type == kind and what in line.what)


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_type_of_resource_has_a_meter_or_a_reason_why_it_is_free(name: str) -> None:
    kinds = {one.type for one in templates(name)}

    assert sorted(kinds - METERS.keys() - FREE.keys()) == []
    assert bill(templates(name), THOUSAND, TABLE).usd > 0  # and every size has its price


def test_nothing_is_both_priced_and_free() -> None:
    assert METERS.keys() & FREE.keys() == set()


def test_a_type_that_nobody_has_thought_of_stops_the_bill() -> None:
    added = {"extra": {"Resources": {"Cluster": {"Type": "AWS::Redshift::Cluster", "Properties": {}}}}}

    with pytest.raises(NotPriced, match="AWS::Redshift::Cluster"):
        bill(Templates({**estate("dev").templates, **added}), FEW, TABLE)


def test_a_size_that_nobody_has_priced_stops_the_bill() -> None:
    with pytest.raises(UnknownPrice, match=r"rds\.x2g\.metal"):
        bill(changed("dev", "AWS::RDS::DBInstance", DBInstanceClass="db.x2g.metal"), FEW, TABLE)


def test_lean_stays_below_its_bounds_and_the_specified_profile_costs_more_than_it_says() -> None:
    specified, lean, staging = (bill(templates(name), THOUSAND, TABLE).usd for name in ("prod", "lean", "staging, lean"))

    assert specified > 2 * 293
    assert lean <= 300
    assert bill(templates("staging, lean"), FEW, TABLE).usd <= 160
    assert bill(templates("staging, lean"), FEW, TABLE, sleeps=True).usd <= 75
    assert staging < lean


def test_what_is_kept_free_is_paid() -> None:
    """Three instances are full; of a capacity of 80 % they are 3.75."""
    assert usd(bill(templates("prod"), THOUSAND, TABLE), "AWS::AutoScaling::AutoScalingGroup", "4 t3.medium") == pytest.approx(
        4 * 730 * 0.0416
    )


def test_more_checks_need_more_workers_and_pay_for_cpu_beyond_the_baseline() -> None:
    few, many = (bill(templates("lean"), Load(monitors=count), TABLE) for count in (1_000, 300_000))
    workers = usd(many, "AWS::AutoScaling::AutoScalingGroup", "Spot")

    assert workers > 3 * usd(few, "AWS::AutoScaling::AutoScalingGroup", "Spot")
    assert usd(few, "AWS::AutoScaling::AutoScalingGroup", "beyond") == 0
    assert usd(many, "AWS::AutoScaling::AutoScalingGroup", "beyond") > 0


def test_what_the_templates_do_not_allow_is_said() -> None:
    said = bill(templates("lean"), Load(monitors=1_000_000), TABLE).too_much

    assert any("PostgreSQL keeps" in what and "500 GB only" in what for what in said)
    assert any("instances of t4g.small are needed" in what for what in said)
    assert bill(templates("lean"), THOUSAND, TABLE).too_much == ()


def test_each_load_is_paid_where_it_arises() -> None:
    """Twice as much of one thing, and nothing but its own meters change."""
    base = bill(templates("prod"), THOUSAND, TABLE)

    def dearer(**twice: Any) -> set[str]:
        other = bill(templates("prod"), replace(THOUSAND, **twice), TABLE).by_type()
        return {kind.rpartition("::")[2] for kind, value in other.items() if value > base.by_type().get(kind, 0) + 0.001}

    assert dearer(check_in_bytes=32_000) == {"NatGateway"}
    assert dearer(web_requests_a_month=600) == {"LoadBalancer"}
    assert dearer(mail_share=1.0) == {"ConfigurationSet"}
    assert dearer(pings_a_day=192) == {
        "RestApi", "WebACL", "Function", "Table", "EventBus", "Archive", "Queue", "LogGroup", "DeliveryStream", "Bucket", "DBInstance",
    }  # fmt: skip
    assert dearer(incidents_a_month=4) >= {"EventBus", "Queue", "Table", "Function", "LogGroup", "ConfigurationSet"}


def test_who_sleeps_pays_for_what_stays() -> None:
    awake, asleep = (bill(templates("staging"), FEW, TABLE, sleeps=sleeps) for sleeps in (False, True))
    share = 60 / 168

    assert usd(asleep, "AWS::ECS::Service") == pytest.approx(share * usd(awake, "AWS::ECS::Service"))
    assert usd(asleep, "AWS::RDS::DBInstance", "db.") == pytest.approx(share * usd(awake, "AWS::RDS::DBInstance", "db."))
    for kind, what in (("RDS::DBInstance", " GB"), ("ElastiCache::ReplicationGroup", ""), ("EC2::NatGateway", "gateway")):
        assert usd(asleep, f"AWS::{kind}", what) == usd(awake, f"AWS::{kind}", what) > 0


def test_a_replica_costs_what_its_source_does() -> None:
    replica = [line for line in bill(templates("everything"), THOUSAND, TABLE).lines if line.resource.name.startswith("Replica")]

    assert {line.price.name for line in replica} == {"rds.t3.medium", "rds.gp2"}


def test_every_price_says_where_it_was_read_and_what_is_from_memory_is_called_unverified() -> None:
    for price in TABLE.prices.values():
        assert price.usd > 0
        assert price.source.startswith("https://") or not price.is_verified
    page = (ROOT / "docs/reference/cost.md").read_text()
    assert page.count("| unverified |") == sum(not price.is_verified for price in TABLE.prices.values())


def test_the_model_uses_what_was_measured() -> None:
    page = (ROOT / "docs/explanation/performance.md").read_text()

    def measured(key: str) -> float:
        [row] = re.findall(rf"^\| `{key}` \|.*$", page, re.MULTILINE)
        return float(re.findall(r"[0-9.]+", row.strip("| ").split("|")[-1])[-1])  # the upper end of a range

    assert measured("https_check_cpu_ms") == model.CHECK_CPU_MS
    assert measured("bytes_per_result") == model.RESULT_BYTES
    assert measured("ping_core_cpu_ms") + measured("ping_core_sdk_cpu_ms") == pytest.approx(model.PING_CORE_CPU_MS)
    assert "six calls to AWS" in page
    assert model.CALLS_OF_A_DELIVERY == 6


def test_the_page_is_what_the_command_prints() -> None:
    names = {
        ("prod", "specified"): "prod",
        ("prod", "lean"): "lean",
        ("staging", "specified"): "staging",
        ("staging", "lean"): "staging, lean",
    }
    printed = document(lambda env, profile: templates(names[env, profile]))

    assert (ROOT / "docs/reference/cost.md").read_text() == printed, "run: python -m cdk.cost --document > docs/reference/cost.md"


def test_the_command_prints_every_line_for_programs_and_not_a_word_of_the_cdk() -> None:
    """As users start it: `uptimemonitor cost` in a process of its own, which starts another one."""
    asked = [
        "cost",
        "--env",
        "dev",
        "--profile",
        "lean",
        "--json",
        "--load",
        "interval_s=300",
        "--monitors",
        "70",
        "-c",
        "spot_workers=false",
    ]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # 5 s instead of 20
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", *asked], check=False, cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)

    assert answer["monitors"] == 70
    assert answer["usd_per_month"] == pytest.approx(sum(line["usd_per_month"] for line in answer["lines"]), abs=0.01)
    assert [scale["monitors"] for scale in answer["scales"]] == [1_000, 10_000, 100_000]
    assert not any("Spot" in line["what"] for line in answer["lines"])
    assert all(line["source"] or not line["verified"] for line in answer["lines"])


def test_the_command_prints_a_table_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "staging", "--profile", "lean", "--nights"]) == 0
    printed = capfd.readouterr().out

    assert printed.startswith("staging, profile lean, down at night and at weekends\n50 monitors: 40 websites every 60 s")
    assert re.search(r"data/Database\w*: 1 db\.t4g\.micro +260\.71 at \$0\.016 per hour +4\.17", printed)
    assert "Everything" in printed
    assert "is a price from memory" in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-c", "nat=magic"], "nat: must be gateway or instance"),
        (["--nights"], "nights: prod never sleeps"),
        (["-c", "instance_class=t2.nano"], "instance_class: must be one of"),
    ],
)
def test_what_cannot_be_is_said_by_its_key(arguments: list[str], says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cost", *arguments]) == 1
    assert says in capfd.readouterr().err


@pytest.mark.parametrize("wrong", ["interval_s=0", "colour=3", "interval_s", "mail_share=-1"])
def test_a_load_that_cannot_be_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--load", wrong])
    assert wrong.partition("=")[0] in capsys.readouterr().err


def test_where_the_cdk_is_not_installed_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert cli.main(["cost"]) == 1
    assert "cdk, aws_cdk, cdk_nag cannot be imported: run this in a checkout, after `make sync-all`" in capsys.readouterr().err


def test_every_figure_of_the_load_can_be_given() -> None:
    page = (ROOT / "docs/reference/cost.md").read_text()

    assert [field.name for field in fields(Load) if f"| `{field.name}` |" not in page] == ["monitors"]
