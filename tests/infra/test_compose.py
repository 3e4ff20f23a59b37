"""compose.yaml follows the schema of compose files, and sets nothing that the code does not read."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.service.commands import SERVICES
from tests.docs.test_settings import rows

ROOT = Path(__file__).parents[2]
BY_HAND = {("edge-sync",), ("reseal",)}
"""Commands of the image that somebody gives; no service runs them."""
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("uptimemonitor:")}


def test_it_follows_the_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_schema_finds_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(yaml.safe_dump({**COMPOSE, "services": {"web": {"image": "x", "comand": ["web"]}}}))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_one_that_the_code_reads(name: str) -> None:
    assert sorted(OURS[name]["environment"].keys() - rows().keys()) == []


def test_every_service_of_the_image_runs() -> None:
    run = {tuple(service["command"]) for service in OURS.values() if service["image"] == "uptimemonitor:development"}
    assert run == {(name,) for name in SERVICES} - BY_HAND


@pytest.mark.parametrize("name", OURS)
def test_services_have_no_more_rights_than_on_aws(name: str) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]


@pytest.mark.parametrize("name", [name for name, service in OURS.items() if service["image"] == "uptimemonitor:stand-ins"])
def test_a_stand_in_is_a_module_that_is_there(name: str) -> None:
    module = OURS[name]["command"][0]
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_only_this_host_reaches_it() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_each_image_is_built_once() -> None:
    built = [service["image"] for service in COMPOSE["services"].values() if "build" in service]
    assert sorted(built) == ["uptimemonitor:development", "uptimemonitor:stand-ins"]
