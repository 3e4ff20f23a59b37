"""`python -m cdk.cost --env prod`: what an environment costs in a month. `uptimemonitor cost` runs this."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Final

from cdk.config import ConfigError
from cdk.cost.bill import Bill, NotPriced, bill
from cdk.cost.document import PROFILES, document
from cdk.cost.load import Load
from cdk.cost.prices import PriceTable, UnknownPrice
from cdk.cost.report import SCALES, as_json, as_scales, as_table
from cdk.cost.synthesis import context, quiet, synthesise

MONITORS: Final[Mapping[str, int]] = {"prod": 1_000, "staging": 50, "dev": 10}


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit status: 0, or 1 where the configuration is wrong or something has no price."""
    options = _parser().parse_args(arguments)
    try:
        if options.document:
            with quiet():
                page = document(lambda env, profile: synthesise(context({"env": env, "profile": profile})))
            sys.stdout.write(page)
        else:
            _print(options)
    except (ConfigError, NotPriced, UnknownPrice) as problem:
        sys.stderr.write(f"error: {problem}\n")
        return 1
    return 0


def _print(options: argparse.Namespace) -> None:
    if options.nights and options.env == "prod":
        raise ConfigError("nights: prod never sleeps")
    given = {"env": options.env, "profile": options.profile, **dict(options.context)}
    load = Load(monitors=options.monitors or MONITORS[options.env], **dict(options.load))
    with quiet():
        templates = synthesise(context(given))
    table = PriceTable.load()
    one = bill(templates, load, table, sleeps=options.nights)
    bills = [bill(templates, replace(load, monitors=scale), table, sleeps=options.nights) for scale in SCALES]
    if options.json:
        sys.stdout.write(json.dumps({**as_json(one), "scales": [_scale(each) for each in bills]}, indent=2) + "\n")
        return
    title = f"{options.env}, profile {options.profile}" + (", down at night and at weekends" if options.nights else "")
    sys.stdout.write(f"{as_table(one, title=title)}\n\n{as_scales(bills)}\n")


def _scale(one: Bill) -> dict[str, object]:
    return {"monitors": one.load.monitors, "usd_per_month": round(one.usd, 2), "too_much": list(one.too_much)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="uptimemonitor cost", description="What an environment on AWS costs in a month.")
    parser.add_argument("--env", choices=MONITORS, default="prod")
    parser.add_argument("--profile", choices=PROFILES, default="specified")
    parser.add_argument("--monitors", type=_positive, metavar="N")
    parser.add_argument("--nights", action="store_true")
    parser.add_argument("-c", "--context", type=_pair, action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--load", type=_figure, action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--document", action="store_true", help="print docs/reference/cost.md")
    return parser


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: must have a name, = and a value")
    return key, value


def _figure(text: str) -> tuple[str, float]:
    """A field of `Load` and its value."""
    name, value = _pair(text)
    known = {field.name: field.type for field in fields(Load) if field.name != "monitors"}
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name}: must be one of {', '.join(known)}")
    number = int(value) if known[name] is int else float(value)
    if number < 0 or (name == "interval_s" and not number):
        raise argparse.ArgumentTypeError(f"{name}: must be more than that")
    return name, number


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 at least")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
