"""One way in which a server behaves, what a check must find, and whether httpx sees it the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from core.domain.outcomes import Outcome, Reason
from tests.hostile import Script


class Httpx(Enum):
    """What httpx, the oracle, says about up or down."""

    AGREES = "sees it the same way"
    DIFFERS = "sees it the other way, and `why` says who is right"


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """`does` is what the server sends, or a script; `asked` are changes to the plain GET that the check is."""

    name: str
    does: bytes | Script
    reason: Reason
    status: int | None = None
    outcome: Outcome = Outcome.DOWN
    asked: Mapping[str, object] = field(default_factory=dict)
    httpx: Httpx = Httpx.AGREES
    why: str = ""


def up(name: str, does: bytes | Script, *, status: int = 200, differs: str = "", **asked: object) -> Behaviour:
    """A behaviour that is well enough; `differs` is why httpx sees it down."""
    return Behaviour(
        name=name,
        does=does,
        reason=Reason.OK,
        status=status,
        outcome=Outcome.UP,
        asked=asked,
        httpx=Httpx.DIFFERS if differs else Httpx.AGREES,
        why=differs,
    )


def down(
    name: str, does: bytes | Script, reason: Reason, *, status: int | None = None, differs: str = "", **asked: object
) -> Behaviour:
    """A behaviour that is not; `differs` is why httpx sees it up."""
    return Behaviour(
        name=name,
        does=does,
        reason=reason,
        status=status,
        asked=asked,
        httpx=Httpx.DIFFERS if differs else Httpx.AGREES,
        why=differs,
    )
