"""A key of the channel vault is replaced: everything that it sealed is sealed anew, and alerts go on being told meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from core.adapters.channel_vault import ChannelVault
from core.adapters.database import Pool, open_pool
from core.adapters.store import seals as store
from core.contracts.channel_vault import ChannelVersion, UnreadableConfig, VaultCipher
from core.contracts.events import AlertDelivered, AlertFailed
from core.flows import resealing
from core.flows.resealing import Resealed, reseal
from lambdas.alert_dispatch import handler as dispatch_handler
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_dispatch import queued
from tests.receivers import WebhookEndpoint, webhook_endpoint
from tests.statements import explain_all
from tests.unit.test_channels import SECRET
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
BEFORE, BOTH, AFTER = VaultCipher([OLD]), VaultCipher([NEW, OLD]), VaultCipher([NEW])


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@pytest.fixture
def vault(aws: AwsStandIn) -> ChannelVault:
    ChannelVersion._connection = None
    made = ChannelVault(aws.names, aws.region)
    ChannelVersion.create_table(wait=True)
    return made


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    """The keys are where they are on AWS."""
    with dispatch_environment(aws, monkeypatch) as running:
        monkeypatch.delenv("CHANNEL_VAULT_KEYS")
        aws.client("secretsmanager").create_secret(Name=aws.names.vault_key_secret, SecretString=OLD)
        dispatch_handler.wiring.cache_clear()
        yield running


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


def make_channel(connection: psycopg.Connection, sealed: str) -> UUID:
    channel, workspace = uuid4(), make_workspace(connection, NOW)
    connection.execute(
        "INSERT INTO channel (id, workspace_id, name, kind, config_version, config_ciphertext, summary, disabled_reason,"
        " created_at, updated_at) VALUES (%s, %s, 'c', 'webhook', 3, %s, '', '', %s, %s)",
        (channel, workspace, sealed, NOW, NOW),
    )
    return channel


def url_of(connection: psycopg.Connection) -> str:
    found = connection.info
    return f"postgresql://{found.user}:{found.password}@{found.host}:{found.port}/{found.dbname}"


def rows(connection: psycopg.Connection, query: str) -> list[Any]:
    found = connection.execute(query.encode()).fetchall()
    connection.commit()
    return found


def at_edge(channel: UUID) -> dict[int, str]:
    return {int(version.version): version.ciphertext for version in ChannelVersion.query(str(channel))}


def test_every_statement_fits_the_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, store) == 4


def test_all_that_the_old_key_sealed_is_sealed_anew_and_says_the_same(
    connection: psycopg.Connection, pool: Pool, vault: ChannelVault
) -> None:
    channel = make_channel(connection, BEFORE.seal({"url": "https://example.com/", "é": [1]}))
    edited = make_channel(connection, new := BOTH.seal({"url": "https://example.net/"}))
    workspace = make_workspace(connection, NOW)
    make_website(connection, workspace, NOW, options="{}", sealed_options=BEFORE.seal({"auth": "secret"}))
    make_website(connection, workspace, NOW)
    connection.commit()
    untouched = rows(connection, "SELECT id, config_version, updated_at FROM channel ORDER BY id")
    fences = rows(
        connection,
        "SELECT config_version, w.monitor_id, next_check_at, lease_id FROM website w JOIN website_state USING (monitor_id)",
    )
    for version in (2, 3):
        vault.project(channel, version, "webhook", workspace, BEFORE.seal({"version": version}))
    assert reseal(pool, vault, BOTH) == Resealed(channels=1, websites=1, versions=2)
    sealed = dict(rows(connection, "SELECT id, config_ciphertext FROM channel"))
    assert AFTER.open(sealed[channel]) == {"url": "https://example.com/", "é": [1]}
    assert sealed[edited] == new, "what the new key sealed is left alone"
    [(options,)] = rows(connection, "SELECT sealed_options FROM website WHERE sealed_options IS NOT NULL")
    assert AFTER.open(options) == {"auth": "secret"}
    assert {version: AFTER.open(text) for version, text in at_edge(channel).items()} == {2: {"version": 2}, 3: {"version": 3}}
    assert rows(connection, "SELECT id, config_version, updated_at FROM channel ORDER BY id") == untouched
    assert sorted(
        rows(
            connection,
            "SELECT config_version, w.monitor_id, next_check_at, lease_id FROM website w JOIN website_state USING (monitor_id)",
        )
    ) == sorted(fences), "no check under way is fenced"
    assert reseal(pool, vault, BOTH) == Resealed(), "a second run finds nothing"


def test_as_many_as_there_are(
    connection: psycopg.Connection, pool: Pool, vault: ChannelVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "AT_A_TIME", 2)
    workspace = make_workspace(connection, NOW)
    for number in range(4):
        make_channel(connection, BEFORE.seal({"number": number}))
    for number in range(5):
        make_website(connection, workspace, NOW, options="{}", sealed_options=BEFORE.seal({"number": number}))
    connection.commit()
    assert reseal(pool, vault, BOTH) == Resealed(channels=4, websites=5)
    sealed = rows(connection, "SELECT config_ciphertext FROM channel UNION ALL SELECT sealed_options FROM website")
    assert sorted(AFTER.open(text)["number"] for (text,) in sealed) == [0, 0, 1, 1, 2, 2, 3, 3, 4]


class Meanwhile(VaultCipher):
    """Somebody edits what has just been read."""

    def __init__(self, edit: Any) -> None:
        super().__init__([NEW, OLD])
        self._edit = edit

    def renewed(self, ciphertext: str) -> str | None:
        after = super().renewed(ciphertext)
        self._edit()
        return after


def test_an_edit_meanwhile_stays(connection: psycopg.Connection, pool: Pool, vault: ChannelVault) -> None:
    channel = make_channel(connection, BEFORE.seal({"url": "before"}))
    gone = uuid4()
    connection.commit()
    for one in (channel, gone):
        vault.project(one, 3, "webhook", uuid4(), BEFORE.seal({"url": "before"}))
    edits: list[str] = []

    def edit() -> None:
        edits.append(BEFORE.seal({"url": "edited"}))
        connection.execute("UPDATE channel SET config_ciphertext = %s", (edits[-1],))
        connection.commit()
        vault.project(channel, 3, "webhook", uuid4(), edits[-1])
        if len(edits) > 1:
            vault.remove(gone)

    assert reseal(pool, vault, Meanwhile(edit)) == Resealed()
    assert len(edits) == 3, "the row and both versions had been read"
    assert rows(connection, "SELECT config_ciphertext FROM channel") == [(edits[-1],)]
    assert (at_edge(channel), at_edge(gone)) == ({3: edits[-1]}, {}), "what was removed is not made again"


def test_what_no_key_opens_is_told_and_stops_nobody(connection: psycopg.Connection, pool: Pool, vault: ChannelVault) -> None:
    lost = VaultCipher([LOST]).seal({})
    unreadable, good = make_channel(connection, lost), make_channel(connection, BEFORE.seal({}))
    connection.commit()
    vault.project(unreadable, 3, "webhook", uuid4(), lost)
    with capture_logs() as logs:
        assert reseal(pool, vault, BOTH) == Resealed(channels=1, unreadable=2)
    assert [line["kept"] for line in logs if line["event"] == "seal.unreadable"] == [
        str(unreadable),
        f"version 3 of channel {unreadable}",
    ]
    sealed = dict(rows(connection, "SELECT id, config_ciphertext FROM channel"))
    assert sealed[unreadable] == lost
    assert AFTER.open(sealed[good]) == {}
    with pytest.raises(UnreadableConfig):
        BOTH.renewed("nonsense")


@pytest.mark.parametrize(("sealed_by", "status"), [(OLD, 0), (LOST, 1)], ids=["old", "lost"])
def test_the_command_of_the_image(
    connection: psycopg.Connection, aws: AwsStandIn, vault: ChannelVault, sealed_by: str, status: int
) -> None:
    channel = make_channel(connection, sealed := VaultCipher([sealed_by]).seal({"url": "x"}))
    connection.commit()
    vault.project(channel, 3, "webhook", uuid4(), sealed)
    told = {
        "DATABASE_URL": url_of(connection),
        "UPTIME_ENV": aws.names.env,
        "AWS_REGION": aws.region,
        "CHANNEL_VAULT_KEYS": f"{NEW}, {OLD}",
    }
    command = [sys.executable, "-m", "core.service", "reseal"]
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, check=False, timeout=60)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["message"], last["unreadable"]) == (status, "reseal.done", 2 * status)
    assert (last["channels"], last["versions"]) == (1 - status, 1 - status)
    assert not any(secret in done.stdout + done.stderr for secret in (OLD.encode(), NEW.encode()))


def test_alerts_are_told_while_a_key_is_replaced(
    connection: psycopg.Connection, pool: Pool, dispatch: Dispatch, hook: WebhookEndpoint
) -> None:
    def project(cipher: VaultCipher) -> UUID:
        channel_id, config = uuid4(), {"url": hook.url(), "secret": SECRET}
        edge.project(channel_id, 1, "webhook", uuid4(), cipher.seal(config))
        return channel_id

    def keys(*keys: str) -> None:
        dispatch.aws.client("secretsmanager").put_secret_value(
            SecretId=dispatch.aws.names.vault_key_secret, SecretString=",".join(keys)
        )

    edge = ChannelVault(dispatch.aws.names, dispatch.aws.region)
    first = project(BEFORE)
    assert dispatch.invoke(sqs_record(alert_request(first))) == []
    keys(NEW, OLD)
    assert dispatch.invoke(sqs_record(alert_request(project(AFTER)))) == [], "by an environment that had read the old key alone"
    assert dispatch.invoke(sqs_record(alert_request(project(BEFORE)))) == []
    assert reseal(pool, edge, BOTH).versions == 2
    keys(NEW)
    dispatch_handler.wiring.cache_clear()
    assert dispatch.invoke(sqs_record(alert_request(first))) == [], "by a new environment, which knows the new key alone"
    assert [type(receipt) for receipt in dispatch.new_receipts()] == [AlertDelivered] * 4
    lost = queued(dispatch, alert_request(project(VaultCipher([LOST]))))
    assert dispatch.invoke(lost) == [lost["messageId"]]
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, AlertFailed)
    assert (receipt.error_type, receipt.final, receipt.error) == ("transient", False, "no key of the channel vault fits")
    assert len(hook.received) == 4
