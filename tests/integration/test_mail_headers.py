"""What mail carries so that it can be ended, and so that what comes back can be told: headers, tags, a configuration set."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import boto3
import pytest
from cryptography.fernet import Fernet
from moto import mock_aws

from core.contracts.channel_links import code, link_url, opened
from core.contracts.channel_vault import VaultCipher
from core.contracts.channels.email import EmailConfig
from core.contracts.events import MonitorFacts
from lambdas.alert_dispatch.channels.email import SesSender, SmtpSender
from lambdas.alert_dispatch.config import SmtpServer
from lambdas.alert_dispatch.message import verification_text
from lambdas.alert_dispatch.message_brief import parameters, sms
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
    return link_url(CIPHER, "https://monitor.example.com", "unsubscribe", channel_id, version)


def test_one_click_is_offered_over_https() -> None:
    message = outgoing()
    with mail_server() as mailbox:
        SmtpSender(SmtpServer("127.0.0.1", mailbox.port), SENDER, now, https_link)(message, ADDRESS)
    [mail] = mailbox.mails
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = str(mail["List-Unsubscribe"]).replace("\r\n", "").replace(" ", "").strip("<>")
    token = address.removeprefix("https://monitor.example.com/unsubscribe/").removesuffix("/")
    assert opened(CIPHER, "unsubscribe", token) == (message.request.data.channel_id, 1)


@pytest.mark.parametrize("name", ["=?us-ascii?q?=00=07?=", "=?utf-8?q?x=0D=0ABcc:_evil@example.com?=", "=?utf-8?b?U2hvcA==?="])
def test_a_name_is_never_read_as_an_encoded_word(name: str) -> None:
    monitor = MonitorFacts(id=UUID(int=1), kind="website", name=name, target="https://shop.example.com/")
    with mail_server() as mailbox:
        SmtpSender(SmtpServer("127.0.0.1", mailbox.port), SENDER, now)(outgoing(monitor=monitor), ADDRESS)
    [mail] = mailbox.mails
    assert mail["Subject"] == f"DOWN: {name.replace('=?', '= ?')} - There was no complete answer in time"
    assert mail["Bcc"] is None


def test_without_a_public_address_nothing_is_offered() -> None:
    with mail_server() as mailbox:
        SmtpSender(SmtpServer("127.0.0.1", mailbox.port), SENDER, now)(outgoing(), ADDRESS)
    assert (mailbox.mails[0]["List-Unsubscribe"], mailbox.mails[0]["List-Unsubscribe-Post"]) == (None, None)
    assert link_url(CIPHER, "", "unsubscribe", UUID(int=1), 1) == ""


def test_the_handler_seals_links_with_the_keys_of_the_vault(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as mailbox, dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch:
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        assert dispatch.invoke(sqs_record(alert_request(channel, channel_kind="email"))) == []
    address = str(mailbox.mails[0]["List-Unsubscribe"]).replace("\r\n", "").replace(" ", "").strip("<>")
    token = address.removeprefix("http://127.0.0.1:8000/unsubscribe/").removesuffix("/")
    assert opened(VaultCipher([VAULT_KEY]), "unsubscribe", token) == (channel, 1)
    assert mailbox.mails[0]["List-Unsubscribe-Post"] is None


def test_the_question_has_link_and_code_that_no_event_has(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as mailbox, dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch:
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        request = alert_request(channel, channel_kind="email", alert_type="verification", monitor=None, incident=None)
        assert dispatch.invoke(sqs_record(request)) == []
    [mail] = mailbox.mails
    body = mail.get_body(("plain",))
    assert body
    text = body.get_content()
    cipher = VaultCipher([VAULT_KEY])
    assert code(cipher, channel, 1) in text
    [address] = re.findall(r"http://127\.0\.0\.1:8000/verify/(\S+)/", text)
    assert opened(cipher, "verify", address) == (channel, 1)
    assert opened(cipher, "unsubscribe", address) is None
    page = mail.get_body(("html",))
    assert page
    assert f'<a href="http://127.0.0.1:8000/verify/{address}/">Confirm this address</a>' in page.get_content()
    assert mail["Subject"] == "Confirm this address for Uptime Monitor"


def test_a_telephone_gets_a_code_that_fits() -> None:
    message = outgoing("verification", monitor=None, incident=None, text=verification_text("12345678", has_link=False))
    assert sms(message.message) == (
        "Confirm this address for Uptime Monitor\n"
        "If you agree, give the code 12345678 to whoever asked you. If not, do nothing: no alerts will come."
    )
    assert parameters(["subject", "details"], message.request.data, message.message)[1].startswith("If you agree, give the code")


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
