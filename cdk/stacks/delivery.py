"""What must be there before the first image: the registry, and the role that GitHub Actions deploys with."""

from aws_cdk import Duration, RemovalPolicy, aws_ecr, aws_iam
from constructs import Construct

from cdk.config import Config
from cdk.delivery.buckets import bucket_names
from cdk.stacks.estate_stack import EstateStack, accept

GITHUB = "token.actions.githubusercontent.com"
KEPT_DAYS = 90


def repository_name(config: Config) -> str:
    """The registry of one environment."""
    return f"{config.env}-uptimemonitor"


class DeliveryStack(EstateStack):
    """Depends on nothing, so that it can be deployed first."""

    def __init__(self, scope: Construct, config: Config) -> None:
        super().__init__(scope, "delivery", config)
        self.repository = self._repository()
        if config.github_repository:
            self._deployer()

    def _repository(self) -> aws_ecr.Repository:
        """Images are kept for 90 days, and what runs for as long as it does.

        An image that a rule of a higher priority matches is never expired by a lower one, so what is tagged `latest` stays even when nobody
        deploys for a quarter.
        """
        rules = [
            aws_ecr.LifecycleRule(rule_priority=1, tag_prefix_list=["latest"], max_image_count=1, description="what runs"),
            aws_ecr.LifecycleRule(rule_priority=2, tag_status=aws_ecr.TagStatus.ANY, max_image_age=Duration.days(KEPT_DAYS)),
        ]
        return aws_ecr.Repository(
            self, "Images", repository_name=repository_name(self.config), image_scan_on_push=True, lifecycle_rules=rules,
            removal_policy=RemovalPolicy.RETAIN if self.config.is_prod else RemovalPolicy.DESTROY,
            empty_on_delete=not self.config.is_prod,
        )  # fmt: skip

    def _deployer(self) -> None:
        """A role for the workflows of one GitHub environment. The provider exists once in an account: the first environment makes it."""
        config, name = self.config, f"{self.config.env}-uptimemonitor"
        provider = (
            config.github_oidc_provider
            or aws_iam.CfnOIDCProvider(self, "GitHub", url=f"https://{GITHUB}", client_id_list=["sts.amazonaws.com"]).attr_arn
        )
        who = aws_iam.FederatedPrincipal(
            provider,
            {
                "StringEquals": {
                    f"{GITHUB}:aud": "sts.amazonaws.com",
                    f"{GITHUB}:sub": f"repo:{config.github_repository}:environment:{config.env}",
                }
            },
            "sts:AssumeRoleWithWebIdentity",
        )
        role = aws_iam.Role(
            self, "Deployer", role_name=config.role("deployer"), assumed_by=who, max_session_duration=Duration.hours(1)
        )
        self.repository.grant_pull_push(role)
        self.repository.grant(role, "ecr:DescribeImages")  # a pushed image is weighed

        def arn(service: str, resource: str, noun: str, *, region: str | None = None) -> str:
            return str(self.format_arn(service=service, resource=resource, resource_name=noun, region=region))

        bootstrap = [
            arn("iam", "role", f"cdk-hnb659fds-{part}-role-{config.account}-{region}", region="")
            for region in (config.region, *([config.dr_region] if config.dr_region else []))
            for part in ("deploy", "file-publishing", "lookup")
        ]
        rights: list[tuple[list[str], list[str]]] = [
            (["sts:AssumeRole"], bootstrap),
            (["ecs:RunTask"], [arn("ecs", "task-definition", f"{name}-migrate:*")]),
            (["ecs:DescribeTasks"], [arn("ecs", "task", f"{name}-cluster/*")]),
            (["ecs:DescribeServices", "ecs:UpdateService"], [arn("ecs", "service", f"{name}-cluster/{name}-*")]),
            (["iam:PassRole"], [arn("iam", "role", config.role(f"migrate-{kind}"), region="") for kind in ("task", "execution")]),
        ]
        for actions, resources in rights:
            role.add_to_policy(aws_iam.PolicyStatement(actions=actions, resources=resources))
        if not config.is_prod:
            self._emptying(role)
            self._nights(role, arn("rds", "db", "*").replace("db/", "db:"))
        accept(role, _reasons(self))

    def _emptying(self, role: aws_iam.Role) -> None:
        """What may be destroyed is emptied before."""
        buckets = [f"arn:aws:s3:::{name}" for name in bucket_names(self.config.env, self.config.account, self.config.region)]
        objects = [f"{bucket}/*" for bucket in buckets]
        role.add_to_policy(aws_iam.PolicyStatement(actions=["s3:PutBucketPolicy", "s3:ListBucket"], resources=buckets))
        role.add_to_policy(aws_iam.PolicyStatement(actions=["s3:DeleteObject"], resources=objects))
        accept(role, {f"AwsSolutions-IAM5[Resource::{every}]": "Whatever is in a bucket goes with it." for every in objects})

    def _nights(self, role: aws_iam.Role, databases: str) -> None:
        """The database may rest at night: this environment's alone, by its tag, because its name is CloudFormation's."""
        only = {"StringEquals": {"aws:ResourceTag/environment": self.config.env}}
        actions = ["rds:StopDBInstance", "rds:StartDBInstance"]
        role.add_to_policy(aws_iam.PolicyStatement(actions=actions, resources=[databases], conditions=only))
        role.add_to_policy(aws_iam.PolicyStatement(actions=["rds:DescribeDBInstances"], resources=[databases]))
        accept(role, {f"AwsSolutions-IAM5[Resource::{databases}]": "Its name is CloudFormation's; the tag says which it is."})


def _reasons(stack: DeliveryStack) -> dict[str, str]:
    """Findings on the deployer."""
    name, place = f"{stack.config.env}-uptimemonitor", f"{stack.region}:{stack.account}"
    found = {
        f"Resource::arn:aws:ecs:{place}:task-definition/{name}-migrate:*": "Revisions are counted by ECS.",
        f"Resource::arn:aws:ecs:{place}:task/{name}-cluster/*": "Tasks get their names from ECS.",
        f"Resource::arn:aws:ecs:{place}:service/{name}-cluster/{name}-*": "The services of this environment, by their prefix.",
        "Resource::*": "ecr:GetAuthorizationToken has no narrower resource.",
    }
    return {f"AwsSolutions-IAM5[{finding}]": reason for finding, reason in found.items()}
