"""`python -m cdk.delivery STEP --env ENV`: the steps of the workflows, each with exit status 0 or 1 and one line of why.

They take the credentials and the region of the shell. `docs/how-to/release-and-deploy.md` says what each is for.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import boto3

from cdk.delivery import images, web
from cdk.delivery.buckets import Buckets, bucket_names
from cdk.delivery.ecs import Cluster, DeliveryFailed
from cdk.delivery.nights import Nights

DESTROYABLE: Final = ("staging", "dev")
ENVIRONMENTS: Final = ("prod", *DESTROYABLE)


def weigh(options: argparse.Namespace) -> None:
    """Whether the pushed image is as small as it has to be."""
    sys.stdout.write(f"{images.weigh(boto3.client('ecr'), options.env, options.revision):.0f} MB\n")


def migrate(options: argparse.Namespace) -> None:
    """The migration, before anything else is new."""
    Cluster(options.env, boto3.client("ecs")).migrate()


def roll(options: argparse.Namespace) -> None:
    """The services."""
    Cluster(options.env, boto3.client("ecs")).roll()


def validate(options: argparse.Namespace) -> None:
    """The web as users see it."""
    web.validate(options.url)


def tell(options: argparse.Namespace) -> None:
    """People in Slack. Without a webhook nobody wants to know."""
    webhook = os.environ.get("SLACK_WEBHOOK_URL")
    if not webhook:
        sys.stdout.write("SLACK_WEBHOOK_URL is not set: nobody is told\n")
        return
    web.tell(webhook, env=options.env, outcome=options.outcome, revision=options.revision, run_url=options.url)


def may_destroy(options: argparse.Namespace) -> None:
    """Refuse what must never be destroyed by a workflow, and a name that was not typed twice."""
    if options.env not in DESTROYABLE:
        raise DeliveryFailed(f"{options.env} is not destroyed by a workflow")
    if options.confirm != options.env:
        raise DeliveryFailed(f"type the name of the environment to confirm: {options.env}")


def empty(options: argparse.Namespace) -> None:
    """The buckets of what is about to be destroyed."""
    may_destroy(options)
    s3, account = boto3.client("s3"), boto3.client("sts").get_caller_identity()["Account"]
    for name, count in Buckets(bucket_names(options.env, account, s3.meta.region_name), s3).empty().items():
        sys.stdout.write(f"{name}: {count} objects deleted\n")


def rest(options: argparse.Namespace) -> None:
    """The database of an environment that sleeps."""
    _refuse_prod(options.env)
    sys.stdout.write(f"{Nights(options.env, boto3.client('rds')).rest()} rests\n")


def wake(options: argparse.Namespace) -> None:
    """The same in the morning, before anything that uses it."""
    _refuse_prod(options.env)
    sys.stdout.write(f"{Nights(options.env, boto3.client('rds')).wake()} is awake\n")


def _refuse_prod(env: str) -> None:
    if env not in DESTROYABLE:
        raise DeliveryFailed(f"{env} never sleeps")


STEPS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "weigh": weigh,
    "migrate": migrate,
    "roll": roll,
    "validate": validate,
    "tell": tell,
    "may-destroy": may_destroy,
    "empty": empty,
    "rest": rest,
    "wake": wake,
}


def main(arguments: Sequence[str]) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m cdk.delivery", description="Steps of a deployment.")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS)
    parser.add_argument("--url", default="", help="of the web (validate), of the run (tell)")
    parser.add_argument("--revision", default="", help="commit that is deployed")
    parser.add_argument("--outcome", default="", help="success, failure or cancelled")
    parser.add_argument("--confirm", default="", help="the name of the environment again")
    options = parser.parse_args(arguments)
    try:
        STEPS[options.step](options)
    except DeliveryFailed as failure:
        sys.stderr.write(f"{options.step}: {failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
