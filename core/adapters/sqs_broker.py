"""Amazon SQS as Celery's broker: kombu's transport, told of queues that are there, so that it neither lists nor makes any."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from kombu.exceptions import OperationalError

from core.adapters.brokers import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, Broker
from core.contracts.queues import TASK_VISIBILITY_S
from core.contracts.tasks import QUEUES
from core.env import SettingError

FORM: Final = re.compile(r"sqs://(?P<region>[a-z0-9-]+)/(?P<account>\d{12})/(?P<prefix>[A-Za-z0-9_-]*)")
WAIT_S: Final = 20
"""How long SQS holds the question for the next message. A message ends it at once."""

PAUSE_S: Final = 0.05
"""Between two questions that found nothing, on our side."""

WAITING: Final = "ApproximateNumberOfMessages"


def open_sqs(url: str) -> Broker:
    """The broker of `sqs://REGION/ACCOUNT/PREFIX`; its queues are at the endpoint that the SDK knows, with the credentials that it finds.

    Raises:
        SettingError: the URL has another form.
    """
    found = FORM.fullmatch(url)
    if found is None:
        raise SettingError("BROKER_URL must be sqs://REGION/ACCOUNT/PREFIX")
    config = Config(connect_timeout=CONNECT_TIMEOUT_S, read_timeout=SOCKET_TIMEOUT_S, retries={"total_max_attempts": 2})
    client = boto3.client("sqs", region_name=found["region"], config=config)
    place = f"{client.meta.endpoint_url}/{found['account']}/{found['prefix']}"
    urls = {name: f"{place}{name}" for name in QUEUES}
    options: dict[str, Any] = {
        "region": found["region"],
        "predefined_queues": {name: {"url": at} for name, at in urls.items()},
        "visibility_timeout": TASK_VISIBILITY_S,
        "wait_time_seconds": WAIT_S,
        "polling_interval": PAUSE_S,
    }

    def lengths(queues: Sequence[str]) -> Mapping[str, int]:
        return {name: _length(client, urls[name]) for name in queues}

    lost = (OperationalError, BotoCoreError, ClientError, OSError)
    return Broker("sqs://", options, has_fanout=False, lost=lost, lengths=lengths, close=client.close)


def _length(client: Any, url: str) -> int:
    return int(client.get_queue_attributes(QueueUrl=url, AttributeNames=[WAITING])["Attributes"][WAITING])
