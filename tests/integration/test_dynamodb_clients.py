"""The clients of DynamoDB read its description once."""

from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

from core.adapters import dynamodb
from core.contracts.channel_vault import ChannelVersion
from core.contracts.channel_vault import bind_table as bind_vault
from core.contracts.heartbeat_table import HeartbeatItem, PingItem, bind_table


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that botocore reads, with models that have no connection yet."""
    files: list[str] = []
    real = JSONFileLoader.load_file

    def load_file(self: JSONFileLoader, path: str) -> Any:
        files.append(path)
        return real(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
    for model in (HeartbeatItem, PingItem, ChannelVersion):
        monkeypatch.setattr(model, "_connection", None)
    dynamodb._loader.cache_clear()
    return files


def test_further_models_and_clients_read_nothing_again(read: list[str]) -> None:
    bind_table("test-heartbeats", "eu-west-1")
    bind_vault("test-vault", "eu-west-1")
    dynamodb.share_description([HeartbeatItem])
    first = [path for path in read if "dynamodb" in path]
    assert first, "the description is read once"
    dynamodb.share_description([PingItem, ChannelVersion])
    dynamodb.boto3_session().client("dynamodb", region_name="eu-west-1")
    assert [path for path in read if "dynamodb" in path] == first
    assert len({id(model._get_connection().connection.client) for model in (HeartbeatItem, PingItem, ChannelVersion)}) == 3
