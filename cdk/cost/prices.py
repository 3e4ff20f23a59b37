"""The price table: what AWS asks in one region, and where it was read (`prices.toml`)."""

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("prices.toml")
FROM_MEMORY: Final = "memory"


class UnknownPrice(Exception):
    """The table has no price of this name: a type or a size that nobody has priced."""


@dataclass(frozen=True, slots=True)
class Price:
    """One price. `source` is the address of the page, empty where nobody has looked it up."""

    name: str
    usd: float
    per: str
    source: str

    @property
    def is_verified(self) -> bool:
        """Whether a page is named on which it was read."""
        return bool(self.source)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of one region, as they were read on one day."""

    region: str
    read: dt.date
    prices: Mapping[str, Price]

    @classmethod
    def load(cls, path: Path = TABLE) -> "PriceTable":
        """Read the table of the repository."""
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        sources = data["sources"]
        prices = {name: Price(name, row["usd"], row["per"], sources[row["source"]]) for name, row in data["prices"].items()}
        return cls(data["region"], data["read"], prices)

    def __getitem__(self, name: str) -> Price:
        """The price of that name.

        Raises:
            UnknownPrice: as it says.
        """
        try:
            return self.prices[name]
        except KeyError:
            raise UnknownPrice(f"{name}: there is no such price in {TABLE.name}") from None
