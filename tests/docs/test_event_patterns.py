"""The patterns that the reference of events shows, each on the examples of all events: what it promises to catch, it catches."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from core.contracts import event_examples
from core.contracts.names import EVENT_SOURCE

PAGE = (Path(__file__).parents[2] / "docs/reference/events.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Patterns\n")[2].partition("\n## ")[0]
PATTERNS = dict(re.findall(r"^([A-Z][^\n]*):\n\n```json\n(.*?)```", SECTION, re.MULTILINE | re.DOTALL))
CAUGHT = {
    "outages of one workspace": {"IncidentOpened", "IncidentResolved"},
    "websites under one domain": {"IncidentOpened"},
    "one outage": {
        "IncidentOpened", "IncidentResolved", "IncidentAcknowledged", "IncidentUnacknowledged",
        "CertificateExpiring", "DomainExpiring", "AlertRequested", "AlertDelivered", "AlertFailed",
    },  # the examples share one correlation
    "within a week": {"DomainExpiring"},
    "Jobs": {"HeartbeatPinged"},
    "will not be tried again": set(),
}  # fmt: skip


def named(words: str) -> Any:
    """The pattern whose title has these words."""
    [pattern] = [pattern for title, pattern in PATTERNS.items() if words in title]
    return EventPattern.load(pattern)


def published(**changes: Any) -> dict[str, dict[str, Any]]:
    """The example of each event as EventBridge sees it, by its type."""
    return {
        type(data).__name__: {
            "source": EVENT_SOURCE,
            "detail-type": type(data).__name__,
            "detail": json.loads(event_examples.example(data)),
            **changes,
        }
        for data in event_examples.DATA
    }


def caught(words: str, candidates: dict[str, dict[str, Any]]) -> set[str]:
    pattern = named(words)
    return {name for name, event in candidates.items() if pattern.matches_event(event)}


def test_every_pattern_is_tried() -> None:
    assert len(PATTERNS) == len(CAUGHT) == SECTION.count("```json")


@pytest.mark.parametrize("words", CAUGHT)
def test_a_pattern_catches_what_it_says(words: str) -> None:
    assert caught(words, published()) == CAUGHT[words]


@pytest.mark.parametrize("words", CAUGHT)
def test_no_pattern_catches_the_next_version_or_another_source(words: str) -> None:
    newer = published()
    for event in newer.values():
        event["detail"]["metadata"]["version"] = 2

    assert caught(words, newer) == set()
    assert caught(words, published(source="somebody.else")) == set()


def test_the_final_failure_is_caught() -> None:
    events = published()
    events["AlertFailed"]["detail"]["data"]["final"] = True

    assert caught("will not be tried again", events) == {"AlertFailed"}


def test_what_a_pattern_leaves_out() -> None:
    assert caught("websites under one domain", published(**{"replay-name": "again"})) == set()
    events = published()
    events["HeartbeatPinged"]["detail"]["data"]["exit_status"] = None
    events["CertificateExpiring"]["detail"]["data"]["days_left"] = 7

    assert caught("Jobs", events) == set()
    assert caught("within a week", events) == {"CertificateExpiring", "DomainExpiring"}
