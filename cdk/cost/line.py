"""What a meter reads, and what it says: so much of something that has a price, for one resource."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cdk.cost.load import HOURS, Load
from cdk.cost.template import Resource, Templates

CHECKING_STACK = "core"


@dataclass(frozen=True, slots=True)
class Use:
    """`quantity` of what the price table calls `price`, in its unit, and what for."""

    price: str
    quantity: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """All templates, what they have to do in a month, and for how many hours of it each stack is there."""

    templates: Templates
    load: Load
    hours: Mapping[str, float]

    def hours_of(self, resource: Resource) -> float:
        """Hours of the month that a resource is there."""
        return self.hours[resource.stack]

    def months_of(self, resource: Resource) -> float:
        """The same as a share of the month."""
        return self.hours[resource.stack] / HOURS

    @property
    def awake(self) -> float:
        """The share of the month in which checks run and people are told."""
        return self.hours[CHECKING_STACK] / HOURS


type Meter = Callable[[Resource, Estate], Iterable[Use]]
"""What one resource uses in a month."""
