"""Projects channel configurations to the edge (`core.contracts.channel_vault` says what is kept there)."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from pynamodb.exceptions import PutError, PynamoDBException

from core.adapters.dynamodb import share_description
from core.contracts.channel_vault import ChannelVersion, bind_table
from core.contracts.names import Names

ANOTHER: Final = "ConditionalCheckFailedException"


class VaultUnreachable(Exception):
    """The vault did not answer; nothing may refer to what was to be projected."""


class ChannelVault:
    """The channel vault of one environment, ciphertext only."""

    def __init__(self, names: Names, region: str) -> None:
        bind_table(names.channel_vault_table, region)
        share_description([ChannelVersion])

    def project(self, channel_id: UUID, version: int, kind: str, workspace_id: UUID, ciphertext: str) -> None:
        """Write a version, before the transaction commits that refers to it.

        A version that no committed row refers to may be written again with another content: its transaction was rolled back.

        Raises:
            VaultUnreachable: it is not certain that the version is there.
        """
        item = ChannelVersion(str(channel_id), version, kind=kind, workspace_id=str(workspace_id), ciphertext=ciphertext)
        try:
            item.save()
        except PynamoDBException as error:
            raise VaultUnreachable(f"channel {channel_id} version {version}: {error}") from error

    def versions(self) -> Iterator[ChannelVersion]:
        """Every version of every channel: a scan.

        Raises:
            VaultUnreachable: some may be missing.
        """
        try:
            yield from ChannelVersion.scan(consistent_read=True)
        except PynamoDBException as error:
            raise VaultUnreachable(str(error)) from error

    def renew(self, version: ChannelVersion, ciphertext: str) -> bool:
        """Give a version another ciphertext of the same configuration. False: it has another one by now, or was removed.

        Raises:
            VaultUnreachable: it is not certain that it has.
        """
        before, version.ciphertext = version.ciphertext, ciphertext
        try:
            version.save(condition=ChannelVersion.ciphertext == before)
        except PutError as error:
            if error.cause_response_code == ANOTHER:
                return False
            raise VaultUnreachable(f"channel {version.channel_id}: {error}") from error
        return True

    def remove(self, channel_id: UUID) -> None:
        """Delete all versions of a channel, after its row is gone.

        Raises:
            VaultUnreachable: some may be left; removing again is safe.
        """
        try:
            with ChannelVersion.batch_write() as batch:
                for version in ChannelVersion.query(str(channel_id), consistent_read=True):
                    batch.delete(version)
        except PynamoDBException as error:
            raise VaultUnreachable(f"channel {channel_id}: {error}") from error
