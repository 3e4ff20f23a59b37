"""What every kind has in common at its end: the assertions about what was seen, and how long it took."""

from core.adapters.probe_check import Check
from core.adapters.probe_extras import slow
from core.adapters.probe_verdicts import Verdict, down
from core.domain.assertions import Evidence, first_broken
from core.domain.outcomes import Outcome


def judged(check: Check, verdict: Verdict, said: bytes = b"") -> Verdict:
    """The verdict about a check that was well so far, `said` being what the server said; any other verdict stays."""
    options = check.request.options
    if verdict.outcome is not Outcome.UP or options is None:
        return verdict
    if options.assertions:
        evidence = Evidence(
            body=said,
            is_cut=False,
            headers=(),
            final_url=check.request.url,
            certificate_not_after=check.certificate_not_after,
            at=check.started_at,
        )
        if broken := first_broken(options.assertions, evidence):
            return down(*broken)
    return slow(check, options.degraded_after_ms) or verdict
