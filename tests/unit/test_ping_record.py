"""How pings are recorded: conflicts, replays, rates, bodies, and what the client is told of trouble."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from core.contracts.heartbeat_keys import INLINE_BODY_LIMIT, MOST_RUNS, run_attribute
from lambdas.ping.bodies import Bodies
from lambdas.ping.create import Creator
from lambdas.ping.directory import Directory
from lambdas.ping.item import Item, Run
from lambdas.ping.limit import NEWS_FACTOR, WINDOW_MS, wait_s
from lambdas.ping.publish import Publisher
from lambdas.ping.record import PostOnly, Recorder, UnknownHeartbeat
from lambdas.ping.request import Ping
from lambdas.ping.service import PingService
from lambdas.ping.transaction import ATTEMPTS, Busy, Patience
from lambdas.ping.update import updates
from lambdas.signed_aws.aws import AwsError
from tests.unit.test_ping_request import HEARTBEAT, PINGED_AT, REQUEST, RID, WORKSPACE, proxy_event

SUCCESS = Ping(REQUEST, "success", None, PINGED_AT, "POST", "203.0.113.9", "curl/8", b"", 0)
ITEM = {"pk": {"S": HEARTBEAT}, "sequence": {"N": "4"}, "workspace_id": {"S": WORKSPACE}}


def refusal(code: str, reasons: Sequence[str] = ()) -> AwsError:
    """An error as DynamoDB answers it."""
    return AwsError(code, answer={"CancellationReasons": [{"Code": reason} for reason in reasons]})


class ScriptedTable:
    """Answers each transaction by the next line of the script, then takes everything."""

    def __init__(self, transactions: Sequence[Exception] = (), updates: Sequence[Exception] = ()) -> None:
        self.script, self.updates = list(transactions), list(updates)
        self.taken: list[list[dict[str, Any]]] = []
        self.attributes: dict[str, Any] = {}

    def update_item(self, **_request: Any) -> dict[str, Any]:
        if self.updates:
            raise self.updates.pop(0)
        return {"Attributes": ITEM | self.attributes}

    def get_item(self, **_request: Any) -> dict[str, Any]:
        return {}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        if self.script:
            raise self.script.pop(0)
        self.taken.append(request["TransactItems"])
        return {}


def cancelled(*reasons: str) -> AwsError:
    return refusal("TransactionCanceledException", reasons)


def recorder(table: ScriptedTable, pauses: list[float] | None = None) -> Recorder:
    pause: Callable[[float], None] = pauses.append if pauses is not None else lambda _: None
    return Recorder(table, "t", Bodies(FullBucket(), lambda _: None), limit=3, patience=Patience(pause, lambda: 1.0))


def test_conflicts_are_retried_with_growing_pauses_until_the_ping_is_in() -> None:
    table = ScriptedTable([cancelled("None", "None", "TransactionConflict"), cancelled("None", "ThrottlingError", "None")])
    pauses: list[float] = []
    assert recorder(table, pauses).record(HEARTBEAT, SUCCESS).event
    assert pauses == [0.01, 0.02]
    assert len(table.taken) == 1


def test_an_older_ping_is_stored_without_touching_the_newer_times() -> None:
    table = ScriptedTable([cancelled("None", "None", "ConditionalCheckFailed")] * 3)
    assert recorder(table).record(HEARTBEAT, SUCCESS).event
    assert [next(iter(part)) for part in table.taken[0]] == ["Put", "Put"]


def test_a_ping_that_is_there_already_is_not_written_again() -> None:
    table = ScriptedTable([cancelled("ConditionalCheckFailed", "None", "ConditionalCheckFailed")])
    assert recorder(table).record(HEARTBEAT, SUCCESS).event is None
    assert table.taken == []


def test_a_log_leaves_the_state_alone() -> None:
    table = ScriptedTable()
    table.attributes = {"window_at": {"N": str(PINGED_AT)}, "window_sequence": {"N": "3"}}
    recorder(table).record(HEARTBEAT, replace(SUCCESS, kind="log"))
    assert [next(iter(part)) for part in table.taken[0]] == ["Put", "Put"]


def test_an_unknown_heartbeat_is_told_apart_from_trouble() -> None:
    with pytest.raises(UnknownHeartbeat):
        recorder(ScriptedTable(updates=[refusal("ConditionalCheckFailedException")])).record(HEARTBEAT, SUCCESS)
    with pytest.raises(AwsError):
        recorder(ScriptedTable(updates=[refusal("AccessDeniedException")])).record(HEARTBEAT, SUCCESS)
    with pytest.raises(AwsError):
        recorder(ScriptedTable([cancelled("None", "ValidationError", "None")])).record(HEARTBEAT, SUCCESS)


def test_endless_conflicts_end() -> None:
    conflict = cancelled("None", "None", "TransactionConflict")
    pauses: list[float] = []
    with pytest.raises(Busy):
        recorder(ScriptedTable([conflict] * ATTEMPTS), pauses).record(HEARTBEAT, SUCCESS)
    assert sum(pauses) < 4
    with pytest.raises(Busy):
        recorder(ScriptedTable(updates=[refusal("TransactionConflictException")] * ATTEMPTS)).record(HEARTBEAT, SUCCESS)


class ScriptedBus:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer

    def put_events(self, **_request: Any) -> dict[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FullBucket:
    """Takes nothing."""

    def put(self, key: str, body: bytes) -> None:
        raise refusal("Http503")


def service(table: ScriptedTable, bus: ScriptedBus, reports: list[str]) -> PingService:
    creator = Creator(table, "t", Bodies(FullBucket(), reports.append), limit=1)
    return PingService(recorder(table), Directory(table, "t"), creator, Publisher(bus, "bus", reports.append))


@pytest.mark.parametrize(
    "answer", [refusal("InternalException"), {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}]
)
def test_a_bus_that_fails_costs_the_client_nothing(answer: dict[str, Any] | Exception) -> None:
    reports: list[str] = []
    assert service(ScriptedTable(), ScriptedBus(answer), reports).answer(proxy_event(), HEARTBEAT).status == 200
    assert len(reports) == 1


def test_trouble_with_the_table_asks_to_try_again_and_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    table = ScriptedTable(updates=[refusal("InternalServerError")])
    answer = service(table, ScriptedBus({}), []).answer(proxy_event(), HEARTBEAT)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == ["ping.not_recorded", "ping.answered"]
    assert {"timestamp", "level", "service", "request_id", "user_id", "duration_ms", "status_code"} <= set(lines[0])


def test_get_is_no_ping_where_post_is_asked_for() -> None:
    refused = AwsError("ConditionalCheckFailedException", answer={"Item": ITEM})
    table = ScriptedTable(updates=[refused])
    with pytest.raises(PostOnly):
        recorder(table).record(HEARTBEAT, replace(SUCCESS, method="HEAD"))
    assert table.taken == []


def test_a_body_that_s3_does_not_take_is_lost_and_the_ping_is_not() -> None:
    table = ScriptedTable()
    body = b"x" * (INLINE_BODY_LIMIT + 1)
    recorder(table).record(HEARTBEAT, replace(SUCCESS, body=body, body_size=len(body)))
    item = table.taken[0][0]["Put"]["Item"]
    assert (item["body_lost"], item["body_truncated"]) == ({"BOOL": True}, {"BOOL": True})
    assert "body_key" not in item
    assert len(item["body"]["B"]) == pytest.approx(INLINE_BODY_LIMIT * 4 / 3, abs=4)


def window(sequence: int, ago_ms: int = 10_000, **values: Any) -> Item:
    """An item whose window opened with sequence 10."""
    return Item(HEARTBEAT, WORKSPACE, sequence, window_at=PINGED_AT - ago_ms, window_sequence=10, **values)


@pytest.mark.parametrize(
    ("item", "kind", "waits"),
    [
        (window(12, success_sequence=11), "success", None),
        (window(13, success_sequence=11), "success", 50),
        (window(13, success_sequence=11), "log", 50),
        (window(13, success_sequence=11), "fail", None),
        (window(13, fail_sequence=11), "success", None),
        (window(13, fail_sequence=11), "fail", 50),
        (window(10 + 3 * NEWS_FACTOR, success_sequence=11), "fail", 50),
        (window(999, ago_ms=WINDOW_MS), "success", None),
        (window(13, ago_ms=WINDOW_MS - 1, success_sequence=11), "success", 1),
        (window(13, ago_ms=-500, success_sequence=11), "success", 61),
    ],
)
def test_only_repetitions_are_too_many_until_they_are_very_many(item: Item, kind: str, waits: int | None) -> None:
    assert wait_s(item, replace(SUCCESS, kind=kind), 3) == waits


def test_one_too_many_is_a_sign_of_life_and_no_ping() -> None:
    table = ScriptedTable()
    table.attributes = {
        "window_at": {"N": str(PINGED_AT)},
        "window_sequence": {"N": "1"},
        "last_success_sequence": {"N": "3"},
    }
    recorded = recorder(table).record(HEARTBEAT, SUCCESS)
    assert (recorded.event, recorded.wait_s, table.taken) == (None, 60, [])


@pytest.mark.parametrize(
    ("ago_ms", "subject", "kind"), [(1, b"s", "log"), (0, b"s", "start"), (-1, b"s", "start"), (1, None, "start")]
)
@pytest.mark.parametrize("verdict", ["success", "fail"])
def test_a_mail_that_a_later_verdict_overtook_is_a_log(verdict: str, ago_ms: int, subject: bytes | None, kind: str) -> None:
    table = ScriptedTable()
    table.attributes = {f"last_{verdict}_at": {"N": str(PINGED_AT)}, f"last_{verdict}_sequence": {"N": "3"}}
    recorder(table).record(HEARTBEAT, replace(SUCCESS, kind="start", subject=subject, pinged_at=PINGED_AT - ago_ms))
    assert table.taken[0][0]["Put"]["Item"]["kind"] == {"S": kind}


def changes(item: Item, **ping: Any) -> list[tuple[str, dict[str, str]]]:
    return [(part["UpdateExpression"], part["ExpressionAttributeNames"]) for part in updates("t", item, replace(SUCCESS, **ping))]


def names(item: Item, **ping: Any) -> list[set[str]]:
    return [set(named.values()) for _, named in changes(item, **ping)]


QUIET = window(14)


@pytest.mark.parametrize(
    ("item", "ping", "expected"),
    [
        (
            QUIET,
            {},
            [{"last_success_at", "last_success_sequence", "last_end_sequence"}, {"last_success_at", "last_success_sequence"}],
        ),
        (QUIET, {"kind": "start"}, [{"last_start_at", "last_start_sequence"}]),
        (QUIET, {"kind": "start", "rid": RID}, [{run_attribute(RID)}]),
        (QUIET, {"kind": "fail", "rid": RID}, [{"last_fail_at", "last_fail_sequence"}]),
        (
            replace(QUIET, runs={RID: Run(1, 2)}),
            {"kind": "fail", "rid": RID},
            [{"last_fail_at", "last_fail_sequence", run_attribute(RID)}, {run_attribute(RID)}],
        ),
        (QUIET, {"kind": "log"}, []),
        (replace(QUIET, window_at=0), {"kind": "log"}, [{"window_at", "window_sequence"}]),
    ],
)
def test_what_a_ping_changes_in_the_item(item: Item, ping: dict[str, Any], expected: list[set[str]]) -> None:
    assert names(item, **ping) == expected


def test_what_is_not_kept_is_noted_apart_from_what_is() -> None:
    [whole, latest] = updates("t", QUIET, SUCCESS, kept=False)
    assert set(whole["ExpressionAttributeNames"].values()) == {
        "touched_success_at",
        "touched_success_sequence",
        "last_end_sequence",
    }
    assert set(latest["ExpressionAttributeNames"].values()) == {"touched_success_at", "touched_success_sequence"}
    [run] = updates("t", QUIET, replace(SUCCESS, kind="start", rid=RID), kept=False)
    assert run["ExpressionAttributeValues"][":v0"]["M"]["touched"] == {"BOOL": True}
    assert updates("t", QUIET, replace(SUCCESS, kind="log"), kept=False) == []


def test_of_too_many_open_runs_the_oldest_go() -> None:
    runs = {f"{number:036d}": Run(number, number) for number in range(MOST_RUNS + 2)}
    [found] = names(replace(QUIET, runs=runs), kind="start", rid=RID)
    assert found == {run_attribute(RID)} | {run_attribute(f"{number:036d}") for number in range(3)}
