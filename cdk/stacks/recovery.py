"""In the region for disasters: the vault that backups are copied to, and the key of the database's backups there."""

from aws_cdk import RemovalPolicy, aws_backup, aws_kms
from constructs import Construct

from cdk.config import Config
from cdk.stacks.estate_stack import EstateStack


class RecoveryStack(EstateStack):
    """Deployed before the data, which names its vault and its key."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(scope, "recovery", config, region=config.dr_region)
        aws_kms.Key(
            self, "Key", enable_key_rotation=True, alias=f"alias/{config.copies_vault()}", removal_policy=RemovalPolicy.RETAIN,
            description="Backups of Uptime Monitor's database in the region for disasters",
        )  # fmt: skip
        aws_backup.BackupVault(self, "Vault", backup_vault_name=config.copies_vault(), removal_policy=RemovalPolicy.RETAIN)
