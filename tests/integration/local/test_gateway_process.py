"""The ping gateway and the AWS stand-in as processes, killed with -9 in between: no answered ping is lost, no heartbeat unknown."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.local.journal import read_living
from tests.conftest import free_port
from tests.integration.local.stand_ins import NAMES, StandIn, insert_heartbeat, stand_in, state_of
from tests.processes import module_process, wait_for_port, wait_until


@contextmanager
def gateway(database_url: str, journal: Path, aws_port: int) -> Iterator[httpx.Client]:
    port = free_port()
    environ = {"UPTIME_ENV": NAMES.env, "DATABASE_URL": database_url, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws_port}"}
    with (
        module_process(
            "core.local.gateway", ["--port", str(port), "--journal", str(journal), "--patience", "30"], environ
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        wait_for_port(port, process=process)
        yield client


@pytest.fixture
def aws_port() -> int:
    return free_port()


def last_success_ms(aws: StandIn, heartbeat: UUID) -> int:
    item = state_of(aws, heartbeat)
    assert item
    return int(item.get("last_success_at", {"N": "0"})["N"])


def newest_ms(journal: Path) -> int:
    return read_living(journal)[-1].received_ms


def test_pings_go_through_to_the_table_and_keep_their_answers(database_url: str, tmp_path: Path, aws_port: int) -> None:
    heartbeat = insert_heartbeat(database_url)
    with stand_in(database_url, tmp_path, aws_port) as aws, gateway(database_url, tmp_path, aws_port) as client:
        answer = client.post(f"/api/ping/{heartbeat}/", content=b"\x00" * 1_100_000)
        assert (answer.status_code, answer.text) == (200, "OK")
        assert answer.headers["ping-body-truncated"] == "true"
        stored = aws.client("s3").list_objects_v2(Bucket=NAMES.ping_bodies_bucket)["Contents"]
        assert [found["Size"] for found in stored] == [1024 * 1024]
        assert "ping-warning" not in answer.headers
        assert last_success_ms(aws, heartbeat) == newest_ms(tmp_path)
        head = client.head(f"/api/ping/{heartbeat}")
        assert (head.status_code, head.content) == (200, b"")
        assert client.get(f"/api/ping/{UUID(int=0)}/").status_code == 404
        assert client.get("/api/ping/nonsense/").status_code == 400
        assert client.put(f"/api/ping/{heartbeat}/").status_code == 405
        assert client.get("/elsewhere").json() == {"message": "Missing Authentication Token"}


def test_pings_at_the_same_time_do_not_mix(database_url: str, tmp_path: Path, aws_port: int) -> None:
    heartbeats = [insert_heartbeat(database_url) for _ in range(12)]

    def ping(number: int) -> int:
        url = f"/api/ping/{heartbeats[number % 12]}/{number}"
        return client.post(url, content=b"x" * number, headers={"User-Agent": f"job-{number}"}).status_code

    with stand_in(database_url, tmp_path, aws_port) as aws, gateway(database_url, tmp_path, aws_port) as client:
        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(ping, range(96))) == {200}
        wait_until(lambda: len(ping_items(aws)) == 96, what="all pings at the edge")
        found = {
            (item["pk"]["S"], item["exit_status"]["N"], item["body_size"]["N"], item["user_agent"]["S"])
            for item in ping_items(aws)
        }
    assert found == {(str(heartbeats[number % 12]), str(number), str(number), f"job-{number}") for number in range(96)}


def ping_items(aws: StandIn) -> list[dict[str, Any]]:
    items = aws.client("dynamodb").scan(TableName=NAMES.heartbeats_table)["Items"]
    return [item for item in items if item["sk"]["S"].startswith("ping#")]


def test_killing_the_stand_in_loses_no_ping_and_forgets_no_heartbeat(database_url: str, tmp_path: Path, aws_port: int) -> None:
    heartbeat, other = insert_heartbeat(database_url), insert_heartbeat(database_url)
    with gateway(database_url, tmp_path, aws_port) as client:
        with stand_in(database_url, tmp_path, aws_port):
            assert "ping-warning" not in client.get(f"/api/ping/{heartbeat}/").headers
        before = newest_ms(tmp_path)
        with stand_in(database_url, tmp_path, aws_port) as aws:
            assert last_success_ms(aws, heartbeat) == before, "there as soon as the port is open"
        away = client.get(f"/api/ping/{heartbeat}/")
        assert (away.status_code, away.text, away.headers["ping-warning"]) == (200, "OK", "queued")
        with stand_in(database_url, tmp_path, aws_port) as aws:
            assert last_success_ms(aws, heartbeat) == newest_ms(tmp_path) > before
            assert "ping-warning" not in client.get(f"/api/ping/{other}/").headers, "nothing of this one waits"


def test_killing_the_gateway_loses_no_answered_ping(database_url: str, tmp_path: Path, aws_port: int) -> None:
    heartbeat = insert_heartbeat(database_url)
    with gateway(database_url, tmp_path, aws_port) as client:
        assert client.get(f"/api/ping/{heartbeat}/").headers["ping-warning"] == "queued"
    journaled = newest_ms(tmp_path)
    elsewhere = tmp_path / "no-journal"
    with stand_in(database_url, elsewhere, aws_port) as aws:
        assert last_success_ms(aws, heartbeat) == 0, "this stand-in does not see the journal: only the gateway can bring the ping"
        with gateway(database_url, tmp_path, aws_port):
            wait_until(lambda: last_success_ms(aws, heartbeat) == journaled, what="the journaled ping at the edge")


def test_a_ping_that_was_refused_or_stored_leaves_the_journal(database_url: str, tmp_path: Path, aws_port: int) -> None:
    with stand_in(database_url, tmp_path, aws_port), gateway(database_url, tmp_path, aws_port) as client:
        assert client.get(f"/api/ping/{UUID(int=9)}/").status_code == 404
        assert len(read_living(tmp_path)) == 1
        wait_until(lambda: read_living(tmp_path) == [], what="an empty journal")
