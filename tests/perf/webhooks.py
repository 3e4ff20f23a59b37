"""Webhook endpoints in a process of their own: `python -m tests.perf.webhooks COUNT HANGING`.

Prints their URLs as a JSON list; the last HANGING of them answer after 30 s. For each line on its input it prints what has arrived since
the last one: `[endpoint, alert id, epoch seconds]` each. Ends with its input.
"""

import json
import sys
from contextlib import ExitStack

from tests.receivers import WebhookEndpoint, webhook_endpoint

HANGS_S = 30.0


def main(count: int, hanging: int) -> None:
    """Serve until the end of the input."""
    with ExitStack() as stack:
        endpoints = [stack.enter_context(webhook_endpoint()) for _ in range(count)]
        for endpoint in endpoints[count - hanging :]:
            endpoint.delay_s = HANGS_S
        print(json.dumps([endpoint.url() for endpoint in endpoints]), flush=True)  # noqa: T201  (how the benchmark learns them)
        for _ in sys.stdin:
            arrived = [[number, *arrival] for number, endpoint in enumerate(endpoints) for arrival in _arrivals(endpoint)]
            print(json.dumps(arrived), flush=True)  # noqa: T201  (likewise)


def _arrivals(endpoint: WebhookEndpoint) -> list[tuple[str, float]]:
    taken = list(endpoint.received)
    del endpoint.received[: len(taken)]
    return [(json.loads(received.body)["data"]["alert_id"], received.at) for received in taken]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
