"""Find a heartbeat by ping key and slug, read consistently: what the API has shown is found."""

from dataclasses import dataclass

from core.contracts.heartbeat_keys import KEY_SORT_KEY, key_partition, slugs_partition
from lambdas.ping.record import UnknownHeartbeat
from lambdas.ping.transaction import Table


@dataclass(frozen=True, slots=True)
class Found:
    """The workspace that a ping key belongs to, and the heartbeat of the slug (empty if there is none).

    `created` heartbeats were made with the key on day `created_day` (days since 1970).
    """

    ping_key: str
    workspace_id: str
    slug: str
    heartbeat_id: str
    created_day: int = 0
    created: int = 0


class Directory:
    """Looks names up in one table."""

    def __init__(self, table: Table, name: str) -> None:
        self._table = table
        self._name = name

    def find(self, ping_key: str, slug: str, now_ms: int) -> Found:
        """Look a slug up.

        Raises:
            UnknownHeartbeat: there is no such key, or it has been replaced.
            AwsError, Unreachable: nothing is known.
        """
        key = self._get(key_partition(ping_key), KEY_SORT_KEY)
        if key is None or int(key.get("valid_until", {"N": now_ms + 1})["N"]) <= now_ms:
            raise UnknownHeartbeat(slug)
        workspace_id = key["workspace_id"]["S"]
        named = self._get(slugs_partition(workspace_id), slug)
        return Found(
            ping_key,
            workspace_id,
            slug,
            named["heartbeat_id"]["S"] if named else "",
            int(key["created_day"]["N"]) if "created_day" in key else 0,
            int(key["created"]["N"]) if "created" in key else 0,
        )

    def _get(self, partition: str, sort: str) -> dict[str, dict[str, str]] | None:
        answer = self._table.get_item(TableName=self._name, Key={"pk": {"S": partition}, "sk": {"S": sort}}, ConsistentRead=True)
        item: dict[str, dict[str, str]] | None = answer.get("Item")
        return item
