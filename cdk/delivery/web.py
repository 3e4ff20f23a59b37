"""What a deployment asks and tells over HTTP: whether the web is well, and people in Slack how it went."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Final

from cdk.delivery.ecs import DeliveryFailed

TIMEOUT_S: Final = 10.0
PAUSE_S: Final = 5.0
IN_A_ROW: Final = 3
"""Behind a load balancer one good answer says little: so many in a row are wanted."""

ATTEMPTS: Final = 60


def validate(url: str, pause: Callable[[float], object] = time.sleep) -> None:
    """Ask `/health/` until it has answered well several times in a row.

    Raises:
        DeliveryFailed: it does not within five minutes; the message has the last answer.
    """
    well, last = 0, "nothing"
    for _ in range(ATTEMPTS):
        last = _ask(f"{url.rstrip('/')}/health/")
        well = well + 1 if last == "200" else 0
        if well == IN_A_ROW:
            return
        pause(PAUSE_S)
    raise DeliveryFailed(f"{url}/health/ is not well: {last}")


def _ask(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            return str(response.status)
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def tell(webhook: str, *, env: str, outcome: str, revision: str, run_url: str) -> None:
    """Post the outcome of a deployment to a Slack webhook. What is not "success" reads as a failure.

    Raises:
        DeliveryFailed: Slack does not take it. The webhook's address is a secret and is in no message.
    """
    went_well = outcome == "success"
    words = f"{'Deployed' if went_well else 'NOT deployed'}: {revision[:12]} to {env} ({outcome})"
    text = f"{':white_check_mark:' if went_well else ':rotating_light:'} {words}\n<{run_url}|what happened>"
    request = urllib.request.Request(webhook, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            return
    except urllib.error.HTTPError as error:
        raise DeliveryFailed(f"Slack answered {error.code}") from None
    except OSError as error:
        raise DeliveryFailed(f"Slack was not reached: {type(error).__name__}") from None
