"""A bill as people read it, and as programs do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cdk.cost.bill import Bill, Line

CENT = 0.005
SCALES = (1_000, 10_000, 100_000)


def as_table(bill: Bill, *, title: str) -> str:
    """Every resource that costs a cent and more, by type and the dearest first, with what it uses and at which price."""
    rows = list(_rows(bill))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    body = (f"{what:<{widths[0]}}  {used:<{widths[1]}}  {usd:>10}" for what, used, usd in rows)
    return "\n".join([title, *_assumptions(bill), "", *body, "", *_footnotes(bill)])


def as_json(bill: Bill) -> dict[str, Any]:
    """The same for programs: every line, with its price and where that was read."""
    return {
        "region": bill.table.region,
        "prices_read": bill.table.read.isoformat(),
        "monitors": bill.load.monitors,
        "usd_per_month": round(bill.usd, 2),
        "too_much": list(bill.too_much),
        "types": {kind: round(usd, 2) for kind, usd in bill.by_type().items()},
        "lines": [
            {
                "stack": line.resource.stack, "resource": line.resource.name, "type": line.resource.type, "what": line.what,
                "quantity": round(line.quantity, 6), "per": line.price.per, "price": line.price.name, "usd": line.price.usd,
                "verified": line.price.is_verified, "source": line.price.source, "usd_per_month": round(line.usd, 4),
            }
            for line in bill.lines
        ],
    }  # fmt: skip


def as_scales(bills: Sequence[Bill]) -> str:
    """What more monitors cost, and each thousand of them."""
    rows = [(f"{one.load.monitors:>9,}", f"{one.usd:>10,.0f}", f"{per_thousand(one):>10,.2f}") for one in bills]
    head = f"{'monitors':>9}  {'$ a month':>10}  {'per 1,000':>10}"
    return "\n".join([head, *("  ".join(row) for row in rows), *(f"  {what}" for what in _unique(bills))])


def per_thousand(bill: Bill) -> float:
    """What a thousand monitors cost."""
    return bill.usd / bill.load.monitors * 1000


def _unique(bills: Iterable[Bill]) -> Iterator[str]:
    for one in bills:
        for what in one.too_much:
            yield f"{one.load.monitors:,} monitors: {what}"


def _rows(bill: Bill) -> Iterator[tuple[str, str, str]]:
    for kind, total in bill.by_type().items():
        if total < CENT:
            continue
        yield kind, "", f"{total:,.2f}"
        for resource, lines in _by_resource(bill, kind).items():
            for line in lines:
                if line.usd >= CENT:
                    mark = "" if line.price.is_verified else " ?"
                    yield (
                        f"  {resource}: {line.what}",
                        f"{line.quantity:,.2f} at ${line.price.usd:g} per {line.price.per}{mark}",
                        f"{line.usd:,.2f}",
                    )
    yield "Everything", "", f"{bill.usd:,.2f}"


def _by_resource(bill: Bill, kind: str) -> Mapping[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in bill.lines:
        if line.resource.type == kind:
            found.setdefault(f"{line.resource.stack}/{line.resource.name}", []).append(line)
    return dict(sorted(found.items(), key=lambda item: -sum(line.usd for line in item[1])))


def _assumptions(bill: Bill) -> Iterator[str]:
    load = bill.load
    yield (
        f"{load.monitors:,} monitors: {load.websites:,.0f} websites every {load.interval_s} s ({load.checks / 1e6:,.1f} million checks, "
        f"{load.checked_gb:,.0f} GB through the NAT), {load.pings / 1e6:,.2f} million pings, {load.messages:,.0f} messages, "
        f"{load.mails:,.0f} of them mails, {load.web_requests:,.0f} requests to the web"
    )


def _footnotes(bill: Bill) -> Iterator[str]:
    unverified = sum(line.usd for line in bill.lines if not line.price.is_verified)
    yield f"Prices of {bill.table.region} as read on {bill.table.read}, on demand, without taxes and free tiers."
    yield f"? is a price from memory that nobody has looked up: ${unverified:,.2f} of the sum."
    for what in bill.too_much:
        yield f"Beyond the bounds of the templates: {what}."
