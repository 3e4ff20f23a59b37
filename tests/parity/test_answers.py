"""What one answer can be like: every behaviour against its expected outcome, and against httpx."""

import pytest

from core.domain.outcomes import Outcome
from tests.hostile import serving
from tests.parity import oracle
from tests.parity.behaviours import Behaviour, Httpx
from tests.parity.framing import FRAMING
from tests.parity.heads import HEADS
from tests.probing import ask, checking, run

BEHAVIOURS = [*HEADS, *FRAMING]
TIMEOUT_MS = 500


def test_there_are_enough_behaviours_and_each_has_a_name_of_its_own() -> None:
    names = [behaviour.name for behaviour in BEHAVIOURS]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("behaviour", [pytest.param(each, id=each.name) for each in BEHAVIOURS])
def test_an_answer_is_judged_as_expected_and_as_httpx_does(behaviour: Behaviour) -> None:
    async def test() -> None:
        async with serving({"/": behaviour.does}) as server, checking() as engine:
            result = await engine.probe(ask(server.url(), timeout_ms=TIMEOUT_MS, **behaviour.asked))
            method = str(behaviour.asked.get("method", "GET"))
            seen = await oracle.is_up(server.url(), method=method, timeout_s=TIMEOUT_MS / 1000)
        agrees = seen is (behaviour.outcome is Outcome.UP)
        found = (result.outcome, result.reason, result.status_code, agrees)
        expected = (behaviour.outcome, behaviour.reason, behaviour.status, behaviour.httpx is Httpx.AGREES)
        assert found == expected, f"{result.detail}; httpx sees it {'up' if seen else 'down'}; {behaviour.why}"
        assert result.detail.isprintable()
        assert result.total_us is not None
        assert result.total_us < (TIMEOUT_MS + 1000) * 1000
        assert bool(result.detail) is (result.outcome is Outcome.DOWN)

    run(test)
