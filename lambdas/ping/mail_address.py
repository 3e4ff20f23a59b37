"""What the address of an e-mail names: a heartbeat, and what its ping says. Pure.

`<uuid>@`, `<uuid>+<action>@`, `<ping key>+<slug>@` and `<ping key>+<slug>+<action>@`: the parts of a ping URL with `+` between them.
"""

from dataclasses import dataclass
from typing import Final

from lambdas.ping import address as addresses
from lambdas.ping.address import Address, BadRequest

MOST_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient that is ours; `local` is what stands before the `@`, in lower case: two with the same are one."""

    local: str
    address: Address


def read(recipient: str, domain: str) -> Recipient:
    """The heartbeat that a recipient of an envelope (`local@domain`) names; `domain` is ours, in lower case.

    Raises:
        BadRequest: it names none.
    """
    local, _, host = recipient.strip().strip("<>").lower().rpartition("@")
    if host.rstrip(".") != domain:
        raise BadRequest("another domain")
    local = local.strip('"')
    parts = local.split("+")
    if len(parts) > MOST_PARTS:
        raise BadRequest("too many + in the address")
    name, action = [*parts[1:], None, None][: MOST_PARTS - 1]
    return Recipient(local, addresses.read(parts[0], name, action))
