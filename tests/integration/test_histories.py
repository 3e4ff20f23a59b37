"""Why people were told or were not, read from PostgreSQL and the dead letters: the real statements, queues, and the command."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core import cli
from core.adapters.database import Pool
from core.adapters.store import histories as store
from core.flows import alerts
from core.flows.histories import incident_history
from tests.aws_stand_in import ENVIRONMENT, AwsStandIn
from tests.dispatching import alert_request, sqs_record
from tests.fakes import FakeBus
from tests.integration.test_acknowledgements import incident_of, outage, take_on
from tests.integration.test_alert_flow import make_channel, receipt
from tests.integration.test_routing import MINUTE, NOW, SECOND, World, pool, world
from tests.statements import explain_all

__all__ = ["pool", "world"]  # fixtures


def told(world: World, incident: UUID) -> list[str]:
    found = incident_history(world.connection, incident)
    world.connection.commit()
    assert found
    return [f"{step.what} {step.subject}: {step.text}" for step in found.steps]


def test_every_statement_fits_the_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, store) == 5


def test_an_incident_that_nobody_has(connection: psycopg.Connection) -> None:
    assert incident_history(connection, uuid4()) is None


def test_the_whole_story_of_an_outage(world: World, pool: Pool) -> None:
    make_channel(world.connection, world.workspace, "slack", disabled=True)
    shop, incident = outage(world)
    [first] = world.connection.execute("SELECT id, generation, channel_id FROM delivery").fetchall()
    row = {"id": first[0], "generation": first[1], "channel_id": first[2]}
    alerts.apply_receipts(world.connection, [receipt(row, error="the webhook answered 503")], NOW)
    assert any("The last attempt failed (the webhook answered 503); the next is at" in line for line in told(world, incident))
    alerts.apply_receipts(world.connection, [receipt(row, attempt=2)], NOW)
    take_on(world, incident)
    bus = FakeBus(refuse={"AlertRequested"})
    alerts.sweep(pool, bus, NOW + MINUTE)
    world.goes("up", shop, NOW + MINUTE)
    alerts.sweep(pool, bus, NOW + 2 * MINUTE)
    lines = told(world, incident)
    assert lines[0] == "incident shop: Failed for the first time: connect_refused (connection refused)."
    assert "delivery c (webhook): The channel took the message after 2 attempts." in lines
    assert "channel c (slack): Not told: it is disabled since 2026-11-23 12:00:00 UTC." in lines
    assert "incident shop: Acknowledged by Ada." in lines
    assert "incident shop: Up again; the incident was resolved." in lines
    assert lines.count("outbox AlertRequested: Waits in the outbox: the bus has not taken it yet.") == 2
    assert [line for line in lines if "On its way" in line] != []


def test_an_outage_that_a_mute_kept_back(world: World) -> None:
    shop = world.monitor()
    world.connection.execute("UPDATE monitor SET muted_until = %s", (NOW + MINUTE,))
    world.goes("down", shop, NOW)
    assert world.hears(NOW + 3 * SECOND) == []
    assert told(world, incident_of(world, shop))[-1] == (
        "alert down: Held while the monitor is muted; decided again by 2026-11-23 12:01:00 UTC."
    )


@pytest.fixture
def shell(aws: AwsStandIn, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsStandIn:
    """The environment of a shell from which the installation is reached; no box runs."""
    for name, value in {"UPTIME_HOME": str(tmp_path), "DATABASE_URL": database_url, "UPTIME_ENV": ENVIRONMENT}.items():
        monkeypatch.setenv(name, value)
    return aws


def test_the_command_tells_it_with_the_dead_letters(world: World, shell: AwsStandIn, capsys: Any) -> None:
    _, incident = outage(world)
    [delivery] = world.connection.execute("SELECT id FROM delivery").fetchall()
    world.connection.commit()
    sqs = shell.client("sqs")
    for body in (sqs_record(alert_request(uuid4(), delivery_id=delivery[0]))["body"], "not an event"):
        sqs.send_message(QueueUrl=shell.queue_urls["alerts-dead"], MessageBody=body)
    sqs.delete_queue(QueueUrl=shell.queue_urls["receipts-dead"])
    assert cli.main(["deliveries", str(incident)]) == 0
    shown = capsys.readouterr()
    assert "dead letter  c (webhook)" in shown.out
    assert "the dead letters of receipts are not known" in shown.err, "its queue is missing, and the rest is told"
    assert cli.main(["deliveries", str(incident), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["incident_id"] == str(incident)
    assert [step["what"] for step in content["steps"]].count("dead letter") == 1
    assert cli.main(["deliveries", str(uuid4())]) == 1
    assert "there is no incident" in capsys.readouterr().err
