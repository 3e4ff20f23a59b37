"""Every call that the deployed estate makes to AWS, by role: made for real, and compared with the list that the policies are judged by.

When the code makes a call that it did not make before, this fails and says which. `cp build/recorded_calls.json tests/infra/` takes it into
the list; `tests/infra/test_permissions.py` then fails until a policy allows it.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from cryptography.fernet import Fernet

from core.adapters.task_queue import TaskQueue
from core.contracts.names import Names
from tests.conftest import free_port
from tests.infra.estates import ROOT, estate
from tests.permissions import scenario
from tests.permissions.deployment import Deployment, make_resources
from tests.permissions.scenario import World, front_door, mapping
from tests.permissions.stand_in import NEEDS_PATH
from tests.processes import module_process, wait_for_port
from tests.services import Call, Reply, service
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.deploy, pytest.mark.timeout(600)]

LIST = ROOT / "tests/infra/recorded_calls.json"
MADE = ROOT / "build/recorded_calls.json"
NAMES = Names("prod")
ROLES = ("ping-role", "ping-mail-role", "alert-dispatch-role", "web-task", "worker-task", "control-task", "migrate-task")
VAULT_KEY = Fernet.generate_key().decode()


@pytest.fixture
def aws() -> Iterator[str]:
    """The recording AWS; its address."""
    port = free_port()
    with module_process("tests.permissions.stand_in", [str(port)]) as process:
        wait_for_port(port, 60, process)
        yield f"http://127.0.0.1:{port}"


def recorded(endpoint: str) -> dict[str, list[str]]:
    """What the roles were seen with."""
    seen = httpx.get(endpoint + NEEDS_PATH, timeout=60, trust_env=False).json()
    return {role: seen.get(role, []) for role in ROLES}


def test_the_calls_are_those_that_the_policies_are_judged_by(
    aws: str, database_url: str, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_url = valkey_url.rpartition("/")[0] + "/9"
    wanted = json.loads(LIST.read_text(encoding="utf-8"))
    replies = iter([Reply(503)])
    judged: list[str] = []

    def judge(call: Call) -> Reply:
        judged.append(call.path)
        return next(replies, Reply(200))

    told = {
        "DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": "only-for-tests-" + "0" * 40, "METRICS_TOKEN": "none",
        "PRIVATE_TARGETS": "true", "VERIFY_ADDRESSES": "false", "CANARY_URLS": "none", "CANARY_NAMES": "none", "TRUSTED_PROXIES": "0",
        "DOMAIN_EXPIRY": "false", "METRICS_BIND": "127.0.0.1",
    }  # fmt: skip
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)  # of whoever sends tasks from here
    keys = {"CHANNEL_VAULT_KEYS": VAULT_KEY}  # injected into tasks; functions fetch them
    with ExitStack() as stack:
        start = stack.enter_context
        deployment = Deployment(estate("everything"), aws, told, tmp_path)
        buckets = deployment.buckets()
        clients = make_resources(aws, NAMES, list(buckets.values()), vault_key=VAULT_KEY, email_from="alerts@example.com")
        ping_url = start(front_door(start(deployment.function("ping"))))
        start(mapping(start(deployment.function("alert-dispatch")), aws, NAMES.alerts_queue))
        start(mapping(start(deployment.function("ping-mail")), aws, NAMES.mails_queue))
        web_port, metrics = free_port(), {"METRICS_PORT": "0", "PING_URL": ping_url, **keys}
        start(deployment.service("control", "schedule", "-c", "1", **metrics))
        start(deployment.service("control", "inbox", **metrics))
        start(deployment.service("worker", "worker", "-c", "1", **metrics))
        web = start(deployment.service("web", "web", "--port", str(web_port), "--workers", "1", **metrics))
        receiver = start(service(judge))
        world = World(
            api=start(httpx.Client(base_url=f"http://127.0.0.1:{web_port}/api/v1/", timeout=60, trust_env=False)),
            ping_url=ping_url,
            clients=clients,
            names=NAMES,
            buckets=buckets,
            connection=start(psycopg.connect(database_url)),
            tasks=TaskQueue(deployment.broker_url),
            saw=lambda role, action: any(need.startswith(f"{action} ") for need in recorded(aws)[role]),
        )
        stack.callback(world.tasks.close)
        wait_for_port(web_port, 60, web)

        scenario.people(world)
        scenario.channels(world, receiver.url)
        ids = scenario.jobs(world)
        scenario.mails(world, ids["nightly"])
        scenario.feedback(world)
        scenario.outputs(world, ids["nightly"])
        scenario.sweeps(world, "worker-task", ids["lost"])
        scenario.own_edge(world, "worker-task", "control-task", ids["overdue"])
        until(lambda: len(judged) >= 2, 60)
        scenario.carried_tasks(world, "web-task", "worker-task", "control-task")
        scenario.damaged_edge(world)
        deployment.run("migrate", "migrate", "edge-sync")
        with suppress(AssertionError):  # a call that is made no more is one of the differences below
            until(lambda: all(set(wanted.get(role, ())) <= set(needs) for role, needs in recorded(aws).items()), 60)
        made = recorded(aws)

    MADE.parent.mkdir(exist_ok=True)
    MADE.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    assert made == wanted, "the calls have changed: compare build/recorded_calls.json with tests/infra/recorded_calls.json"
