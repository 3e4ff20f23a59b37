"""What a check of Healthchecks is as a heartbeat."""

from typing import Any

import pytest

from core.contracts.slugs import is_slug
from examples.from_healthchecks.convert import wanted

SIMPLE = {
    "name": "Nightly backup",
    "slug": "nightly-backup",
    "tags": "db prod db",
    "desc": "",
    "grace": 3600,
    "n_pings": 5,
    "status": "up",
    "timeout": 86400,
    "manual_resume": False,
    "methods": "",
    "start_kw": "",
    "success_kw": "",
    "failure_kw": "",
    "filter_subject": False,
    "filter_body": False,
    "filter_http_body": False,
    "filter_default_fail": False,
    "unique_key": "a6c7b0a8a66bed0df66abfdab3c77736861703ee",
}


def only(**changes: Any) -> Any:
    [found] = wanted([SIMPLE | changes])
    return found


def test_a_simple_check() -> None:
    found = only()
    assert (found.slug, found.paused) == ("nightly-backup", False)
    assert found.body == {
        "name": "Nightly backup",
        "tags": ["db", "prod"],
        "grace_s": 3600,
        "period_s": 86400,
        "sticky_pause": False,
        "post_only": False,
    }


def test_a_schedule_comes_with_its_zone_and_without_a_period() -> None:
    check = {name: value for name, value in SIMPLE.items() if name != "timeout"}
    [found] = wanted([check | {"schedule": "30 3 * * *", "tz": "Europe/Riga"}])
    assert (found.body["schedule"], found.body["time_zone"], "period_s" in found.body) == ("30 3 * * *", "Europe/Riga", False)


def test_keywords_matter_where_a_filter_is_on() -> None:
    words = {"success_kw": "finished, ok", "failure_kw": "ERROR"}
    assert "filters" not in only(**words).body
    assert only(**words, filter_http_body=True, filter_default_fail=True).body["filters"] == {
        "success": ["finished", "ok"],
        "fail": ["ERROR"],
        "start": [],
        "otherwise": "fail",
    }


def test_pauses_and_methods() -> None:
    found = only(status="paused", manual_resume=True, methods="POST")
    assert (found.paused, found.body["sticky_pause"], found.body["post_only"]) == (True, True, True)


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"slug": ""}, "nightly-backup"),
        ({"slug": "", "name": ""}, SIMPLE["unique_key"]),
        ({"slug": "start"}, "heartbeat-start"),
        ({"slug": "7"}, "heartbeat-7"),
        ({"slug": "", "name": "Ünïcode & more"}, "n-code-more"),
        ({"slug": "x" * 100}, "x" * 64),
        ({"slug": "", "name": "???"}, "heartbeat"),
    ],
)
def test_every_slug_can_be_pinged(changes: dict[str, str], slug: str) -> None:
    found = only(**changes)
    assert found.slug == slug
    assert is_slug(slug)
    assert found.body["name"]


def test_two_checks_with_one_slug_are_two_heartbeats() -> None:
    assert [one.slug for one in wanted([SIMPLE] * 3)] == ["nightly-backup", "nightly-backup-2", "nightly-backup-3"]
