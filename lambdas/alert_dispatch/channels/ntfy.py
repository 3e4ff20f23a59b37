"""ntfy. Errors are `{"code": 40301, "http": 403, "error": …}`; `server/errors.go` of https://github.com/binwiederhier/ntfy has the codes.

429 is a limit of a visitor, or of the day (https://docs.ntfy.sh/publish/#limitations). 507 says that a topic of UnifiedPush has no
subscriber at the moment; one may come back, so it is tried again as any 5xx.
"""

from typing import Final

import msgspec

from core.contracts.channels.ntfy import NtfyConfig
from lambdas.alert_dispatch.answers import json_fields, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message_ntfy import ntfy_message
from lambdas.alert_dispatch.posting import Poster, judge

GONE: Final = frozenset({40101, 40301})
"""The token is not valid (any more), or may not write to the topic. A 401 or 403 without them is a proxy's, and may pass."""


class NtfySender:
    """Publishes to topics."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: NtfyConfig) -> None:
        """Send; see `Sender`."""
        body = msgspec.json.encode(ntfy_message(outgoing.message, outgoing.look_of, config))
        headers = {"authorization": f"Bearer {config.token}"} if config.token else {}
        answer = self._poster.send(f"{config.server.rstrip('/')}/", body, headers, outgoing.timeout_s, read_errors=True)
        said = json_fields(answer.body)
        gone = said.get("code") in GONE
        judge(answer, self._poster.clock(), "ntfy", reason=words(said.get("error")), gone=gone)
