"""AWS Backup: every night for a week, and where there is a region for disasters every hour, with a copy there."""

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy, aws_backup, aws_events
from constructs import Construct

from cdk.config import Config
from cdk.stacks.estate_stack import accept


class BackupPlan(Construct):
    """A vault and a plan for the given resources."""

    def __init__(self, scope: Construct, config: Config, arns: Sequence[str]) -> None:
        super().__init__(scope, "Backup")
        removal = RemovalPolicy.RETAIN if config.is_prod else RemovalPolicy.DESTROY
        vault = aws_backup.BackupVault(self, "Vault", backup_vault_name=config.vault(), removal_policy=removal)
        plan = aws_backup.BackupPlan(self, "Plan", backup_plan_name=config.vault(), backup_vault=vault)
        plan.add_rule(
            aws_backup.BackupPlanRule(
                rule_name="nightly",
                schedule_expression=aws_events.Schedule.cron(hour="3", minute="0"),
                delete_after=Duration.days(7),
            )
        )
        if config.dr_region:
            arn = f"arn:aws:backup:{config.dr_region}:{config.account}:backup-vault:{config.copies_vault()}"
            copies = aws_backup.BackupVault.from_backup_vault_arn(self, "Copies", arn)
            plan.add_rule(
                aws_backup.BackupPlanRule(
                    rule_name="hourly",
                    schedule_expression=aws_events.Schedule.cron(minute="30"),
                    delete_after=Duration.days(1),
                    start_window=Duration.hours(1),
                    completion_window=Duration.hours(2),
                    copy_actions=[
                        aws_backup.BackupPlanCopyActionProps(destination_backup_vault=copies, delete_after=Duration.days(2))
                    ],
                )
            )
        chosen = [aws_backup.BackupResource.from_arn(arn) for arn in arns]
        selection = plan.add_selection("Selection", resources=chosen, allow_restores=False)
        policy = "arn:<AWS::Partition>:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"
        accept(selection, {f"AwsSolutions-IAM4[Policy::{policy}]": "AWS keeps it as Backup learns new kinds of resources."})
