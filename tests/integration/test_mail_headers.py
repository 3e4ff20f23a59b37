"""What mail carries so that it can be ended, and so that what comes back can be told: headers, tags, a configuration set."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import boto3
import pytest
from cryptography.fernet import Fernet
from moto import mock_aws

from core.contracts.channel_vault import VaultCipher
from core.contracts.channels.email import EmailConfig
from core.contracts.unsubscribing import opened, unsubscribe_url
from lambdas.alert_dispatch.channels.email import SesSender, SmtpSender
from lambdas.alert_dispatch.config import SmtpServer
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import VAULT_KEY, alert_request, dispatch_environment, sqs_record
from tests.receivers import mail_server
from tests.services import outgoing

SENDER = "Uptime Monitor <uptime@monitor.example>"
ADDRESS = EmailConfig(address="ops@example.com")
CIPHER = VaultCipher([Fernet.generate_key().decode()])


def now() -> datetime:
    return datetime.now(UTC)


def https_link(channel_id: UUID, version: int) -> str:
    return unsubscribe_url(CIPHER, "https://monitor.example.com", channel_id, version)


def test_one_click_is_offered_over_https() -> None:
    message = outgoing()
    with mail_server() as mailbox:
        SmtpSender(SmtpServer("127.0.0.1", mailbox.port), SENDER, now, https_link)(message, ADDRESS)
    [mail] = mailbox.mails
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = str(mail["List-Unsubscribe"]).replace("\r\n", "").replace(" ", "").strip("<>")
    token = address.removeprefix("https://monitor.example.com/unsubscribe/").removesuffix("/")
    assert opened(CIPHER, token) == (message.request.data.channel_id, 1)


def test_without_a_public_address_nothing_is_offered() -> None:
    with mail_server() as mailbox:
        SmtpSender(SmtpServer("127.0.0.1", mailbox.port), SENDER, now)(outgoing(), ADDRESS)
    assert (mailbox.mails[0]["List-Unsubscribe"], mailbox.mails[0]["List-Unsubscribe-Post"]) == (None, None)
    assert unsubscribe_url(CIPHER, "", UUID(int=1), 1) == ""


def test_the_handler_seals_links_with_the_keys_of_the_vault(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as mailbox, dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch:
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        assert dispatch.invoke(sqs_record(alert_request(channel, channel_kind="email"))) == []
    address = str(mailbox.mails[0]["List-Unsubscribe"]).replace("\r\n", "").replace(" ", "").strip("<>")
    token = address.removeprefix("http://127.0.0.1:8000/unsubscribe/").removesuffix("/")
    assert opened(VaultCipher([VAULT_KEY]), token) == (channel, 1)
    assert mailbox.mails[0]["List-Unsubscribe-Post"] is None


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("sesv2", region_name="eu-west-1")
        client.create_email_identity(EmailIdentity="uptime@monitor.example")
        yield client


@pytest.mark.parametrize("configuration_set", ["", "uptime"])
def test_ses_gets_the_tags_and_the_configuration_set(ses: Any, configuration_set: str) -> None:
    asked: list[dict[str, Any]] = []
    ses.meta.events.register("provide-client-params.sesv2.SendEmail", lambda params, **_: asked.append(params))
    message = outgoing()
    SesSender(lambda: ses, SENDER, now, https_link, configuration_set)(message, ADDRESS)
    [params] = asked
    tags = {tag["Name"]: tag["Value"] for tag in params["EmailTags"]}
    assert tags == {"channel": str(message.request.data.channel_id), "config_version": "1"}
    assert params.get("ConfigurationSetName", "") == configuration_set
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in params["Content"]["Raw"]["Data"]
