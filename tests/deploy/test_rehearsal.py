"""The estate is deployed with the CDK's own command into an account of moto, used, changed and destroyed: `make test-deploy`."""

import json
import re
import sys
from uuid import UUID, uuid4

import msgspec
import pytest

from cdk.delivery.buckets import Buckets, bucket_names
from core.contracts import event_examples
from core.contracts.channel_vault import ChannelVersion, VaultCipher
from core.contracts.channels.registry import parse_config
from core.contracts.heartbeat_table import HeartbeatItem
from core.contracts.names import EVENT_SOURCE
from core.contracts.queues import mail_events, queues
from tests.deploy import lacks
from tests.deploy.conftest import NAMES, RECOVERY_REGION, Rehearsal
from tests.deploy.fitting import ACCOUNT, REGION
from tests.deploy.toolkit import DIRECT
from tests.dispatching import alert_request
from tests.receivers import webhook_endpoint

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(900)]

WORKSPACE = UUID("0190f5c2-0000-7000-8000-000000000000")


def test_all_stacks_are_complete_with_all_that_their_templates_name(rehearsal: Rehearsal) -> None:
    stacks = {**rehearsal.deployed.stacks(), **rehearsal.deployed.stacks(RECOVERY_REGION)}
    assert {noun: one["StackStatus"] for noun, one in stacks.items()} == dict.fromkeys(rehearsal.templates(), "CREATE_COMPLETE")
    for noun, template in rehearsal.templates().items():
        region = RECOVERY_REGION if noun == "recovery" else REGION
        wanted = {
            name: one["Type"] for name, one in template["Resources"].items() if not one["Type"].endswith("WaitConditionHandle")
        }
        assert rehearsal.deployed.resources(noun, region) == wanted


def test_what_was_taken_out_is_what_is_listed(rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(report(rehearsal))
    listed = {*lacks.KINDS, *(".".join(part) for part in (*lacks.PARTS, *lacks.WHOLES))}
    assert set(rehearsal.removed) == listed


def report(made: Rehearsal) -> str:
    """What is deployed, and what is not and why."""
    whys = {**lacks.KINDS, **{".".join(part): why for part, why in {**lacks.PARTS, **lacks.WHOLES}.items()}}
    lines = [f"  {count:3} {what}: {whys[what]}" for what, count in sorted(made.removed.items())]
    held = sum(len(template["Resources"]) for template in made.templates().values())
    return "\n".join([f"\n{held} resources are deployed. Not rehearsed, because moto cannot hold it:", *lines, ""])


def test_a_ping_goes_through_the_deployed_package_into_table_bucket_and_queue(rehearsal: Rehearsal) -> None:
    deployed, heartbeat = rehearsal.deployed, str(uuid4())
    tables = rehearsal.account.client("dynamodb")
    item = HeartbeatItem(heartbeat, workspace_id=str(WORKSPACE))
    tables.put_item(TableName=NAMES.heartbeats_table, Item=item.serialize())
    log = b"x" * 20_000
    with deployed.function("ping") as ping:
        answered = [
            ping.invoke(deployed.request("GET", f"/api/ping/{heartbeat}")),
            ping.invoke(deployed.request("POST", f"/api/ping/{heartbeat}/7", log)),
            ping.invoke(deployed.request("GET", f"/api/ping/{uuid4()}")),
        ]
    assert [outcome.error for outcome in answered] == [None] * 3
    assert [outcome.answer["statusCode"] for outcome in answered] == [200, 200, 404]

    state = tables.get_item(TableName=NAMES.heartbeats_table, Key={name: item.serialize()[name] for name in ("pk", "sk")})["Item"]
    assert (state["sequence"], state["last_fail_sequence"]) == ({"N": "2"}, {"N": "2"})
    found = deployed.events(NAMES.pings_queue)
    assert [(event["detail-type"], event["detail"]["data"]["heartbeat_id"]) for event in found] == [
        ("HeartbeatPinged", heartbeat)
    ] * 2
    assert [event["account"] for event in found] == [ACCOUNT] * 2
    [failed] = [event["detail"]["data"] for event in found if event["detail"]["data"]["exit_status"] == 7]
    bodies = f"{NAMES.ping_bodies_bucket}-{ACCOUNT}-{REGION}"
    kept = rehearsal.account.client("s3").get_object(Bucket=bodies, Key=failed["body_key"])["Body"].read()
    assert kept == log


def test_the_deployed_rules_bring_each_event_into_its_queue_and_no_other(rehearsal: Rehearsal) -> None:
    deployed = rehearsal.deployed
    for data in event_examples.DATA:
        detail = json.loads(event_examples.example(data))
        for source in (EVENT_SOURCE, "somebody.else"):
            deployed.publish({"source": source, "detail-type": type(data).__name__, "detail": detail})
    bounced = {"source": "aws.ses", "detail-type": "Email Bounced", "detail": {}}
    deployed.publish(bounced)
    deployed.publish(bounced, bus="default")

    wanted = {queue.name: sorted(queue.detail_types) for queue in queues(NAMES)}
    wanted[mail_events(NAMES).name] = ["Email Bounced"]
    found = {name: sorted(event["detail-type"] for event in deployed.events(name)) for name in wanted}
    assert found == wanted


def test_an_alert_goes_through_the_deployed_package_to_its_receiver_and_comes_back_as_a_receipt(rehearsal: Rehearsal) -> None:
    deployed, channel = rehearsal.deployed, uuid4()
    secret = rehearsal.account.client("secretsmanager").get_secret_value(SecretId=NAMES.vault_key_secret)["SecretString"]
    with webhook_endpoint() as receiver, deployed.function("alert-dispatch") as dispatch:
        config = msgspec.to_builtins(parse_config("webhook", {"url": receiver.url()}, private_targets=True))
        sealed = VaultCipher([secret]).seal(config)
        version = ChannelVersion(str(channel), 1, kind="webhook", workspace_id=str(WORKSPACE), ciphertext=sealed)
        rehearsal.account.client("dynamodb").put_item(TableName=NAMES.channel_vault_table, Item=version.serialize())
        request = alert_request(channel)
        deployed.publish({"source": EVENT_SOURCE, "detail-type": "AlertRequested", "detail": msgspec.to_builtins(request)})

        [message] = deployed.messages(NAMES.alerts_queue)
        outcome = dispatch.invoke(deployed.batch(message, NAMES.alerts_queue))
        assert (outcome.error, outcome.answer) == (None, {"batchItemFailures": []})

    [received] = receiver.received
    assert json.loads(received.body)["data"]["monitor"]["name"] == "Shop"
    [receipt] = deployed.events(NAMES.receipts_queue)
    assert receipt["detail-type"] == "AlertDelivered"
    assert receipt["detail"]["data"]["delivery_id"] == str(request.data.delivery_id)


def test_functions_are_mapped_to_their_queues(rehearsal: Rehearsal) -> None:
    mapped = rehearsal.account.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert {
        (one["EventSourceArn"].rpartition(":")[2], one["FunctionArn"].rpartition(":")[2], one["BatchSize"]) for one in mapped
    } == {
        (NAMES.alerts_queue, "staging-uptimemonitor-alert-dispatch", 1),
        (NAMES.mails_queue, "staging-uptimemonitor-ping-mail", 1),
    }


def test_a_change_of_one_parameter_updates_what_it_is_in_and_nothing_else(rehearsal: Rehearsal) -> None:
    before = workers(rehearsal)
    rehearsal.synthesise(worker_tasks="2")
    said = rehearsal.account.cdk("deploy", "--all", *DIRECT.split(), app=rehearsal.assembly)

    unchanged = set(re.findall(r"staging-uptimemonitor-(\w+) \(no changes\)", said))
    assert set(rehearsal.templates()) - unchanged == {"core"}
    assert rehearsal.deployed.stacks()["core"]["StackStatus"] == "UPDATE_COMPLETE"
    assert (before, workers(rehearsal)) == (1, 2)


def workers(rehearsal: Rehearsal) -> int:
    [service] = rehearsal.account.client("ecs").describe_services(
        cluster="staging-uptimemonitor-cluster", services=["staging-uptimemonitor-worker"]
    )["services"]
    return int(service["desiredCount"])


def test_staging_sleeps_and_wakes_and_its_data_stays(rehearsal: Rehearsal) -> None:
    """As `.github/workflows/staging-schedule.yml` does it."""
    computing = ["staging-uptimemonitor-core", "staging-uptimemonitor-monitoring"]
    others = set(rehearsal.templates()) - {"core", "monitoring", "recovery"}
    pings = rehearsal.account.client("dynamodb").scan(TableName=NAMES.heartbeats_table)["Items"]
    rehearsal.account.cdk("destroy", "--exclusively", *computing, "--force", app=rehearsal.assembly)
    assert set(rehearsal.deployed.stacks()) == others

    rehearsal.account.cdk("deploy", "--exclusively", *computing, *DIRECT.split(), app=rehearsal.assembly)
    assert set(rehearsal.deployed.stacks()) == {*others, "core", "monitoring"}
    assert rehearsal.account.client("dynamodb").scan(TableName=NAMES.heartbeats_table)["Items"] == pings
    assert pings


def test_it_can_be_destroyed_and_leaves_what_it_should_and_what_moto_cannot_delete(rehearsal: Rehearsal) -> None:
    emptied = Buckets(bucket_names("staging", ACCOUNT, REGION), rehearsal.account.client("s3")).empty()  # as `destroy.yml` does
    assert emptied[f"{NAMES.ping_bodies_bucket}-{ACCOUNT}-{REGION}"] > 0
    rehearsal.account.cdk("destroy", "--all", "--force", app=rehearsal.assembly)

    assert {**rehearsal.deployed.stacks(), **rehearsal.deployed.stacks(RECOVERY_REGION)} == {}
    left = rehearsal.deployed.left()
    assert left.pop("AWS::S3::Bucket") == [
        f"{NAMES.ping_mail_bucket}-{ACCOUNT}-{REGION}"
    ]  # mails that were never read are not deleted
    assert set(left) == set(lacks.STAYS)
