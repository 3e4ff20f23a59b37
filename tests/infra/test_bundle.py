"""The packages of the Lambdas: zipped, unpacked, and run by AWS's own runtime client with nothing else on the path."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from hashlib import sha256
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from core.contracts.channels.apprise import SERVICES
from core.local.api_gateway import Route, proxy_event
from core.local.http_listener import Request
from tests.aws_stand_in import ENVIRONMENT, AwsStandIn
from tests.dispatching import VAULT_KEY, Dispatch, alert_request, dispatch_environment, sqs_record
from tests.infra.estates import ROOT  # also finds Node.js for the CDK
from tests.integration.test_ping_lambda import heartbeat, pings_of, received
from tests.integration.test_ping_mail import record as mail_record
from tests.lambda_runtime import RuntimeApi, function, runtime_client
from tests.services import Reply, always, service

# isort: split
from cdk import bundle

pytestmark = pytest.mark.outside  # dependencies come from PyPI

LOAD = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
compiled = []
sys.addaudithook(lambda event, args: compiled.append(str(args[1])) if event == "compile" else None)
for name in sys.argv[2:]:
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    assert not attribute or callable(getattr(found, attribute)), name
loaded = sorted({str(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)})
print(json.dumps({"loaded": loaded, "compiled": compiled}))
"""
ENVIRON = {
    "UPTIME_ENV": ENVIRONMENT,
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "EMAIL_FROM": "a@example.com",
    "PING_MAIL_DOMAIN": "ping.example.org",
    "PRIVATE_TARGETS": "true",
    "AWS_EC2_METADATA_DISABLED": "true",
}
MEMORY_MIB = 128
LIMITS = {"alert_dispatch": 40_000_000, "ping": 2_000_000}
HANDLERS = {
    "alert_dispatch": ["lambdas.alert_dispatch.handler:handler"],
    "ping": ["lambdas.ping.app:app", "lambdas.ping.mail:mail_handler"],
}
UNCHECKED_HASH = b"\x01\0\0\0"
"""Flags of byte code: https://docs.python.org/3/reference/import.html#pyc-invalidation."""
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo5ODc2NTQ="


@dataclass(frozen=True)
class Package:
    """A package of a function; `zipped` is how many bytes are uploaded."""

    function: str
    folder: Path
    zipped: int


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """Each function's package, zipped and unpacked again, as the CDK and Lambda do it."""
    made = {}
    for name in bundle.FUNCTIONS:
        folder = tmp_path_factory.mktemp(name)
        bundle.build(name, "x86_64", folder / "built")
        archive = shutil.make_archive(str(folder / name), "zip", folder / "built")
        shutil.rmtree(folder / "built")
        shutil.unpack_archive(archive, folder / "task")
        made[name] = Package(name, folder / "task", Path(archive).stat().st_size)
    return made


@pytest.fixture(params=bundle.FUNCTIONS)
def package(request: pytest.FixtureRequest, packages: dict[str, Package]) -> Package:
    return packages[request.param]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runtime_client(tmp_path_factory.mktemp("runtime"))


@pytest.fixture
def told(aws_endpoint: str) -> dict[str, str]:
    """What the functions are told here."""
    return {**ENVIRON, "AWS_ENDPOINT_URL": aws_endpoint}


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    """What alert_dispatch needs at AWS; the keys of the vault are a secret there."""
    aws.client("secretsmanager").create_secret(Name=aws.names.vault_key_secret, SecretString=VAULT_KEY)
    with dispatch_environment(aws, monkeypatch) as made:
        yield made


@dataclass(frozen=True)
class Loaded:
    """What a fresh process loaded, and what it had to compile for that: files, and names such as `<string>`."""

    loaded: list[str]
    compiled: list[str]


def load(package: Package, *names: str) -> Loaded:
    """Load `module:attribute` or modules, and make what is made at a cold start, with nothing but the package."""
    command = [sys.executable, "-I", "-S", "-B", "-c", LOAD, str(package.folder), *names]
    environ = {**ENVIRON, "AWS_LAMBDA_FUNCTION_NAME": "tested"}
    done = subprocess.run(command, check=False, env=environ, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Loaded(**json.loads(done.stdout))


def test_handlers_load_with_nothing_but_the_package_and_compile_nothing_of_it(package: Package) -> None:
    standard = (str(Path(os.__file__).parent), str(Path(sys.base_prefix)))
    for handler in HANDLERS[package.function]:
        found = load(package, handler)
        assert [path for path in found.loaded if not path.startswith((str(package.folder), *standard))] == []
        assert [path for path in found.compiled if path.startswith(str(package.folder))] == []


def test_every_service_of_apprise_loads_from_the_package(packages: dict[str, Package]) -> None:
    package = packages["alert_dispatch"]
    modules = {f"apprise.plugins.{module}" for module in SERVICES.values()}
    found = load(package, *sorted(modules))
    assert modules <= {path.removeprefix(f"{package.folder}/").removesuffix(".pyc").replace("/", ".") for path in found.loaded}
    assert [path for path in found.compiled if path.startswith(str(package.folder))] == []


def test_our_code_keeps_its_sources_and_everything_has_byte_code_that_is_never_compared(package: Package) -> None:
    sources = {path.relative_to(package.folder) for path in package.folder.rglob("*.py")}
    assert {path.parts[0] for path in sources} == {"core", "lambdas"}
    assert [path for path in sources if not Path(cache_from_source(str(package.folder / path))).is_file()] == []

    headers = {path.read_bytes()[:8] for path in package.folder.rglob("*.pyc")}
    assert headers == {MAGIC_NUMBER + UNCHECKED_HASH}


def test_no_library_holds_more_than_its_segments(package: Package) -> None:
    libraries = list(package.folder.rglob("*.so"))
    assert libraries
    assert {int.from_bytes(path.read_bytes()[40:48], "little") for path in libraries} == {0}  # e_shoff: no sections


def test_the_licences_are_there(package: Package) -> None:
    for described in package.folder.glob("*.dist-info/METADATA"):
        told = Parser().parsestr(described.read_text(encoding="utf-8"))
        files = {path.relative_to(described.parent) for path in described.parent.rglob("*") if path.is_file()}
        missing = [name for name in told.get_all("License-File", []) if not {Path(name), Path("licenses", name)} & files]
        assert missing == [], described.parent.name


def test_two_builds_are_the_same(packages: dict[str, Package], tmp_path: Path) -> None:
    bundle.build("ping", "x86_64", tmp_path)
    assert contents(tmp_path) == contents(packages["ping"].folder)


def contents(folder: Path) -> dict[str, str]:
    """The digest of every file."""
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_packages_hold_our_code_at_its_paths_and_are_small(package: Package) -> None:
    [other] = set(bundle.FUNCTIONS) - {package.function}
    files = [path for path in package.folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    sys.stdout.write(f"{package.function}: {package.zipped / 1e6:.1f} MB zipped, {size / 1e6:.1f} MB unpacked\n")

    assert (package.folder / "lambdas" / package.function).is_dir()
    assert (package.folder / "core/contracts/names.py").is_file()
    assert not (package.folder / "lambdas" / other).exists()
    assert {path.name for path in package.folder.glob("core/*")} == {"__init__.py", "__pycache__", "contracts"}
    assert size <= LIMITS[package.function]
    assert [path for path in files if path.suffix == ".so" and "aarch64" in path.name] == []


def ping(api: RuntimeApi, uid: str, body: bytes = b"") -> tuple[int, Any]:
    """Ping as API Gateway hands it over; status and text of the answer."""
    headers = (("Host", "ping.example.com"), ("User-Agent", "curl/8.5.0"))
    request = Request("POST", f"/api/ping/{uid}/", headers, body, "203.0.113.9")
    outcome = api.invoke(proxy_event(request, Route("/ping/{token}", {"token": uid}), uuid4(), 1_795_867_200_000, binary=True))
    assert outcome.error is None, outcome.error
    return outcome.answer["statusCode"], outcome.answer["body"]


def test_a_ping_through_the_package_is_in_the_table_in_the_bucket_and_on_its_way(
    packages: dict[str, Package], runtime: Path, aws: AwsStandIn, told: dict[str, str]
) -> None:
    uid, output = heartbeat(), b"done\n" * 50_000
    with function(packages["ping"].folder, runtime, "lambdas.ping.app.app", told) as api:
        assert api.wait_started() is None
        sys.stdout.write(f"ping: a cold start takes {api.init_cpu_s:.2f} s of CPU\n")
        assert [ping(api, uid)[0], ping(api, uid, output)[0], ping(api, str(uuid4()))[0]] == [200, 200, 404]

    small, large = sorted(pings_of(uid), key=lambda item: item.body_size)
    assert (small.kind, small.method, large.body_size) == ("success", "POST", len(output))
    kept = aws.client("s3").get_object(Bucket=aws.names.ping_bodies_bucket, Key=large.body_key)["Body"].read()
    assert kept == output
    assert [str(event.data.heartbeat_id) for event in received(aws)] == [uid, uid]


def test_a_mail_through_the_package_is_a_ping(
    packages: dict[str, Package], runtime: Path, aws: AwsStandIn, told: dict[str, str]
) -> None:
    uid = heartbeat()
    with function(packages["ping"].folder, runtime, "lambdas.ping.mail.mail_handler", told) as api:
        outcome = api.invoke({"Records": [mail_record(aws, uid)]})

    assert (outcome.error, outcome.answer) == (None, {"batchItemFailures": []})
    assert [item.method for item in pings_of(uid)] == ["EMAIL"]


def test_an_alert_through_the_package_is_delivered_and_an_error_is_reported(
    packages: dict[str, Package], runtime: Path, dispatch: Dispatch, told: dict[str, str]
) -> None:
    """The error comes first: a runtime that reported one goes on."""
    with (
        service(always(Reply(200))) as receiver,
        function(packages["alert_dispatch"].folder, runtime, "lambdas.alert_dispatch.handler.handler", told) as api,
    ):
        assert api.wait_started() is None
        sys.stdout.write(f"alert_dispatch: a cold start takes {api.init_cpu_s:.2f} s of CPU\n")
        failed = api.invoke({"no": "event of SQS"})
        channel = dispatch.channel("webhook", {"url": receiver.url, "secret": SECRET})
        request = alert_request(channel)
        delivered = api.invoke({"Records": [sqs_record(request)]})
        peak_mib = api.peak_mib()
        sys.stdout.write(f"alert_dispatch: {peak_mib:.0f} MiB with a message sent\n")

    assert peak_mib <= MEMORY_MIB
    assert failed.error
    trace = "".join(failed.error["stackTrace"])
    assert failed.error["errorType"] == "UnexpectedBatchTypeError"
    assert "return dict(process_partial_response(" in trace  # a line of ours
    assert 'File "/var/task/aws_lambda_powertools/' in trace
    assert (delivered.error, delivered.answer) == (None, {"batchItemFailures": []})
    [call] = receiver.calls
    said = Webhook(SECRET).verify(call.body, call.headers)
    assert (said["type"], said["data"]["monitor"]["name"]) == ("alert.down", "Shop")
    assert [type(receipt).__name__ for receipt in dispatch.new_receipts()] == ["AlertDelivered"]


def test_a_message_of_apprise_goes_through_the_package(
    packages: dict[str, Package], runtime: Path, dispatch: Dispatch, told: dict[str, str]
) -> None:
    """Its process finds the library in the package, without sources."""
    with (
        service(always(Reply(200, {"id": 1}))) as receiver,
        function(packages["alert_dispatch"].folder, runtime, "lambdas.alert_dispatch.handler.handler", told) as api,
    ):
        channel = dispatch.channel("apprise", {"url": receiver.url.replace("http://", "gotify://") + "/AbCdEfGhIjKlMnO"})
        delivered = api.invoke({"Records": [sqs_record(alert_request(channel))]})

    assert (delivered.error, delivered.answer) == (None, {"batchItemFailures": []})
    assert [call.content["title"].startswith("DOWN: Shop") for call in receiver.calls] == [True]


def test_a_setting_that_is_missing_is_an_error_of_the_cold_start(
    packages: dict[str, Package], runtime: Path, told: dict[str, str]
) -> None:
    del told["EMAIL_FROM"]
    with function(packages["alert_dispatch"].folder, runtime, "lambdas.alert_dispatch.handler.handler", told) as api:
        failed = api.wait_started()
        assert api.process
        status = api.process.wait(30)

    assert failed
    assert failed.error
    assert (failed.error["errorType"], "EMAIL_FROM" in failed.error["errorMessage"], status) == ("SettingError", True, 1)


def test_a_package_is_named_by_its_sources_its_lock_and_its_architecture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {bundle.digest(function, architecture) for function in bundle.FUNCTIONS for architecture in bundle.PLATFORMS}
    assert len(names) == 4
    assert bundle.digest("ping", "arm64") in names

    for part in ("lambdas", "core/contracts"):
        subprocess.run(["cp", "-r", "--parents", part, str(tmp_path)], check=True, cwd=ROOT)
    for file in ("uv.lock", "core/__init__.py", *bundle.BUILDERS):
        subprocess.run(["cp", "--parents", file, str(tmp_path)], check=True, cwd=ROOT)
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    assert bundle.digest("ping", "arm64") in names

    for path in ("lambdas/ping/app.py", "cdk/byte_code.py", "cdk/shared_libraries.py"):
        before = bundle.digest("ping", "arm64")
        (tmp_path / path).write_text("changed")
        assert bundle.digest("ping", "arm64") != before


def test_what_is_locked_has_no_colours_under_the_cdk_which_asks_everybody_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    locked = bundle._uv("export", "--frozen", "--no-hashes", "--no-emit-project", "--no-dev", "--quiet")
    assert "\x1b" not in locked
    assert "cronsim==" in locked
