"""The bill: every resource of the templates, metered and priced."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cdk.cost import meters_compute, meters_edge, meters_stores
from cdk.cost.fleet import fleet
from cdk.cost.free import FREE
from cdk.cost.line import Estate, Meter, Use
from cdk.cost.load import HOURS, Load
from cdk.cost.prices import Price, PriceTable
from cdk.cost.template import Resource, Templates

METERS: Final[Mapping[str, Meter]] = {**meters_compute.METERS, **meters_stores.METERS, **meters_edge.METERS}
SPOT: Final = "@spot"
SLEEPING_STACKS: Final = ("core", "monitoring")
"""What `staging-schedule.yml` takes down at night."""
AWAKE_HOURS_A_WEEK: Final = 5 * 12


class NotPriced(Exception):
    """A type of resource has neither a meter nor a reason why it is free: nobody has thought of what it costs."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill."""

    resource: Resource
    what: str
    quantity: float
    price: Price

    @property
    def usd(self) -> float:
        """What it costs in a month."""
        return self.quantity * self.price.usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All lines, and what the load needs that the templates do not allow."""

    lines: tuple[Line, ...]
    load: Load
    table: PriceTable
    too_much: tuple[str, ...]

    @property
    def usd(self) -> float:
        """What a month costs."""
        return sum(line.usd for line in self.lines)

    def by_type(self) -> dict[str, float]:
        """What each type of resource costs, the dearest first."""
        sums: dict[str, float] = defaultdict(float)
        for line in self.lines:
            sums[line.resource.type] += line.usd
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


def bill(templates: Templates, load: Load, table: PriceTable, *, sleeps: bool = False) -> Bill:
    """Price the templates under a load; `sleeps` where what computes is taken down at night and at weekends.

    Raises:
        NotPriced: a type of resource is unknown here.
        UnknownPrice: a size or a class has no price.
    """
    awake = HOURS * AWAKE_HOURS_A_WEEK / (7 * 24)
    hours = {stack: awake if sleeps and stack in SLEEPING_STACKS else float(HOURS) for stack in templates.by_stack}
    estate = Estate(templates=templates, load=load, hours=hours)
    lines = tuple(_line(one, use, table) for one in templates for use in _uses(one, estate) if use.quantity)
    return Bill(lines=lines, load=load, table=table, too_much=tuple(_too_much(estate)))


def _uses(resource: Resource, estate: Estate) -> Iterable[Use]:
    meter = METERS.get(resource.type)
    if meter:
        return meter(resource, estate)
    if resource.type not in FREE:
        raise NotPriced(f"{resource.type}: has no meter, and no reason why it is free (cdk/cost)")
    return ()


def _line(resource: Resource, use: Use, table: PriceTable) -> Line:
    price = table[use.price.removesuffix(SPOT)]
    if use.price.endswith(SPOT):
        share = table["ec2.spot-share"]
        price = Price(use.price, price.usd * share.usd, price.per, "")
    return Line(resource, use.what, use.quantity, price)


def _too_much(estate: Estate) -> Iterable[str]:
    """What the load needs beyond the bounds of the templates: there the bill is what it would cost with wider ones."""
    for database in estate.templates.of("AWS::RDS::DBInstance"):
        most = database.properties.get("MaxAllocatedStorage")
        if most and estate.load.database_gb > most:
            yield f"PostgreSQL keeps {estate.load.database_gb:,.0f} GB, and its storage grows to {most:,} GB only"
    for group in estate.templates.of("AWS::AutoScaling::AutoScalingGroup"):
        found = fleet(group, estate)
        if found.instances > found.most:
            yield f"{found.instances} instances of {found.instance_class} are needed, and there are {found.most} at most"
