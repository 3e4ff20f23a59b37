"""`python -m cdk.recovery STEP --env ENV`: what the runbooks of disasters type, each with exit status 0 or 1 and lines of what is done.

They take the credentials and the region of the shell. `docs/runbooks/disasters.md` says when each is for.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from cdk.delivery.__main__ import ENVIRONMENTS
from cdk.delivery.ecs import Cluster, DeliveryFailed
from cdk.recovery import dns
from cdk.recovery.cluster import Instances
from cdk.recovery.database import Database, RecoveryFailed, Source, at_moment, from_other_region, from_snapshot, settings_of

FAILURES: Final = (RecoveryFailed, DeliveryFailed, BotoCoreError, ClientError)


def restore(options: argparse.Namespace) -> None:
    """Take the database back, let it take the place of the one that is damaged or gone, and bring the services up with it."""
    database = Database(options.env, boto3.client("rds"), say)
    settings = settings_of(options.env, boto3.client("cloudformation"))
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=f"{options.env}/uptimemonitor/database-admin")
    database.restore(_source(options, database.name), settings, json.loads(secret["SecretString"])["password"])
    former = database.exchange(datetime.now(UTC))
    resume(options)
    if former:
        say(f"what was there before is {former}: delete it when all is well")


def resume(options: argparse.Namespace) -> None:
    """Account and schema, what the edge keeps of the database, then every service anew."""
    cluster = Cluster(options.env, boto3.client("ecs"))
    for step, run in (("migrate", cluster.migrate), ("edge-sync", cluster.sync_edge), ("roll", cluster.roll)):
        say(step)
        run()


def instances(options: argparse.Namespace) -> None:
    """New instances for the cluster, then every service anew."""
    ecs = boto3.client("ecs")
    Instances(options.env, ecs, boto3.client("autoscaling"), say).replace()
    Cluster(options.env, ecs).roll()


def release_names(options: argparse.Namespace) -> None:
    """Take the names away from a region that is gone."""
    if not (options.zone and options.domain):
        raise RecoveryFailed("--zone and --domain are needed")
    dns.release(boto3.client("route53"), options.zone, options.domain, say)


def say(line: str) -> None:
    """Tell who waits, with the time: how long it took is asked afterwards."""
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")
    sys.stdout.flush()


def _source(options: argparse.Namespace, name: str) -> Source:
    if options.snapshot:
        return from_snapshot(options.snapshot)
    return from_other_region(name, options.until) if options.other_region else at_moment(name, options.until)


STEPS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "database": restore,
    "resume": resume,
    "instances": instances,
    "release-names": release_names,
}


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("must have a time zone, for example Z")
    return moment


def main(arguments: Sequence[str]) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m cdk.recovery", description="Steps after a disaster.")
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--until", type=_time, help="just before this moment, else as late as possible (database)")
    source.add_argument("--snapshot", default="", help="from this snapshot instead of the log (database)")
    parser.add_argument("--other-region", action="store_true", help="from the log that another region has copied here (database)")
    parser.add_argument("--zone", default="", help="of Route 53 (release-names)")
    parser.add_argument("--domain", default="", help="of the environment (release-names)")
    options = parser.parse_args(arguments)
    try:
        STEPS[options.step](options)
    except FAILURES as failure:
        sys.stderr.write(f"{options.step}: {failure}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
