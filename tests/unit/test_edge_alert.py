"""The operator hears once that DynamoDB is away, and once that it is back."""

from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from core.checker.operator_alert import EdgeAlert

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_one_line_when_it_begins_and_one_when_it_ends() -> None:
    alert = EdgeAlert()
    with capture_logs() as lines:
        for tick, unreachable in enumerate([False, True, True, True, False, False, True]):
            alert.see(NOON + timedelta(seconds=3 * tick), unreachable=unreachable)
    assert [line["event"] for line in lines] == ["own_trouble.began", "own_trouble.ended", "own_trouble.began"]
    assert lines[1]["seconds"] == 9.0
