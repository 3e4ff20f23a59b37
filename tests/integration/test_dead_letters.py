"""Dead letters are counted, looked at and moved back; nothing is lost on the way."""

import argparse

import pytest

from core.adapters.dead_letters import DeadLetters
from core.adapters.queues import QueueUnreachable, SqsQueue, sqs_client
from core.contracts.names import Names
from core.env import Env
from core.local import commands
from core.local.settings import BoxSettings
from tests.aws_stand_in import ENVIRONMENT, REGION, AwsStandIn


@pytest.fixture
def letters(aws: AwsStandIn) -> DeadLetters:
    """Twenty-three dead letters of the queue of pings."""
    for number in range(23):
        aws.client("sqs").send_message(QueueUrl=aws.queue_urls["pings-dead"], MessageBody=f"letter {number}")
    return DeadLetters(sqs_client(REGION), aws.names.pings_queue)


def redrive(queue: str | None, *, dry_run: bool = False, limit: int = 100, env: str = ENVIRONMENT) -> int:
    options = argparse.Namespace(queue=queue, dry_run=dry_run, limit=limit, env=env)
    return commands.redrive(BoxSettings.from_env(Env({})), options)


def test_looking_moves_nothing_and_holds_nothing_back(letters: DeadLetters) -> None:
    assert letters.count() == 23
    assert {letter.body for letter in letters.look(100)} == {f"letter {number}" for number in range(23)}
    assert len(letters.look(5)) == 5
    assert letters.count() == 23
    assert letters.look(1)[0].received >= 1
    assert letters.look(1)[0].sent_at.year >= 2026


def test_letters_go_back_to_their_queue(aws: AwsStandIn, letters: DeadLetters) -> None:
    assert letters.move_back(12) == 12
    assert letters.count() == 11
    assert letters.move_back(100) == 11
    received = SqsQueue(sqs_client(REGION), aws.names.pings_queue).receive(limit=100, wait_s=1, linger_s=5)
    assert {message.body for message in received} == {f"letter {number}" for number in range(23)}
    assert letters.move_back(100) == 0


def test_a_letter_that_could_not_be_sent_stays(aws: AwsStandIn, letters: DeadLetters) -> None:
    aws.client("sqs").delete_queue(QueueUrl=aws.queue_urls["pings"])
    with pytest.raises(QueueUnreachable):
        letters.move_back(100)
    assert letters.count() == 23


def test_the_queue_of_mails_may_be_missing_and_the_others_may_not(
    aws: AwsStandIn, letters: DeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redrive(None) == 0
    assert "mails" not in capsys.readouterr().out
    queue = aws.client("sqs").create_queue(QueueName=Names.dead_letters(aws.names.mails_queue))["QueueUrl"]
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="a mail")
    assert redrive(None) == 0
    assert "mails          1" in capsys.readouterr().out
    aws.client("sqs").delete_queue(QueueUrl=aws.queue_urls["pings-dead"])
    assert redrive(None) == 1
    assert redrive("mails") == 1, "where to is missing"


def test_the_command(letters: DeadLetters, capsys: pytest.CaptureFixture[str]) -> None:
    assert redrive(None) == 0
    assert "pings         23" in capsys.readouterr().out
    assert redrive("pings", dry_run=True, limit=2) == 0
    assert "2 shown, none moved." in capsys.readouterr().out
    assert redrive("pings") == 0
    assert capsys.readouterr().out == "Moved 23 back to pings.\n"
    assert redrive("alerts", dry_run=True) == 0
    assert redrive(None, env="nowhere") == 1
    assert capsys.readouterr().err.startswith("error: nowhere-uptimemonitor-pings")
