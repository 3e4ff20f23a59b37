"""The packages of the Lambdas: nothing else is on the path when their handlers are loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.estates import ROOT  # also finds Node.js for the CDK

# isort: split
from cdk import bundle

LOAD = "import sys, json; sys.path.insert(0, sys.argv[1]); module = __import__(sys.argv[2], fromlist=['x']); "
LOAD += "callable(getattr(module, sys.argv[3])) or sys.exit('no handler'); "
LOAD += "print(json.dumps(sorted({str(m.__file__) for m in list(sys.modules.values()) if getattr(m, '__file__', None)})))"
ENVIRON = {
    "UPTIME_ENV": "prod",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "EMAIL_FROM": "a@example.com",
    "PING_MAIL_DOMAIN": "ping.example.com",
    "AWS_EC2_METADATA_DISABLED": "true",
}
LIMITS = {"alert_dispatch": 40_000_000, "ping": 2_000_000}


@pytest.fixture(scope="module", params=bundle.FUNCTIONS)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    target = tmp_path_factory.mktemp(request.param)
    bundle.build(request.param, "x86_64", target)
    return request.param, target


HANDLERS = {
    "alert_dispatch": [("lambdas.alert_dispatch.handler", "handler")],
    "ping": [("lambdas.ping.app", "app"), ("lambdas.ping.mail", "mail_handler")],
}


def test_handlers_load_with_nothing_but_the_package(package: tuple[str, Path]) -> None:
    function, target = package
    for module, name in HANDLERS[function]:
        command = [sys.executable, "-I", "-S", "-B", "-c", LOAD, str(target), module, name]
        done = subprocess.run(command, check=False, env=ENVIRON, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        standard = (str(Path(os.__file__).parent), str(Path(sys.base_prefix)))
        strange = [path for path in json.loads(done.stdout) if not path.startswith((str(target), *standard))]
        assert strange == []


def test_packages_hold_our_code_at_its_paths_and_are_small(package: tuple[str, Path]) -> None:
    function, target = package
    [other] = set(bundle.FUNCTIONS) - {function}
    files = [path for path in target.rglob("*") if path.is_file()]

    assert (target / "lambdas" / function).is_dir()
    assert (target / "core/contracts/names.py").is_file()
    assert not (target / "lambdas" / other).exists()
    assert [path for path in target.glob("core/*") if path.name not in ("__init__.py", "contracts")] == []
    assert sum(path.stat().st_size for path in files) <= LIMITS[function]
    assert [path for path in files if path.suffix == ".so" and "aarch64" in path.name] == []


def test_a_package_is_named_by_its_sources_its_lock_and_its_architecture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {bundle.digest(function, architecture) for function in bundle.FUNCTIONS for architecture in bundle.PLATFORMS}
    assert len(names) == 4
    assert bundle.digest("ping", "arm64") in names

    for part in ("lambdas", "core/contracts"):
        subprocess.run(["cp", "-r", "--parents", part, str(tmp_path)], check=True, cwd=ROOT)
    for file in ("uv.lock", "core/__init__.py", "cdk/bundle.py"):
        subprocess.run(["cp", "--parents", file, str(tmp_path)], check=True, cwd=ROOT)
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setattr(bundle, "__file__", str(tmp_path / "cdk/bundle.py"))
    assert bundle.digest("ping", "arm64") in names

    (tmp_path / "lambdas/ping/app.py").write_text("changed")
    assert bundle.digest("ping", "arm64") not in names
