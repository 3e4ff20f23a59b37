"""What the Dockerfile says of itself. Whether it builds, `make image` shows where there is a builder and a registry."""

import ast
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.service.commands import SERVICES

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
SLIM = (ROOT / ".ci/slim").read_text()


@dataclass
class Stage:
    """One stage: what it starts from, and its instructions with their arguments."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, instruction: str) -> list[str]:
        return [argument for name, argument in self.instructions if name == instruction]


def parsed() -> tuple[dict[str, str], list[Stage]]:
    """Arguments that stand before the first stage, and the stages."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    arguments, stages = {}, []
    for line in filter(str.strip, text.splitlines()):
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            stages.append(Stage(base, name))
        elif stages:
            stages[-1].instructions.append((instruction, argument.strip()))
        else:
            assert instruction == "ARG"
            name, _, default = argument.partition("=")
            arguments[name] = default
    return arguments, stages


ARGUMENTS, STAGES = parsed()
IMAGE = STAGES[-1]


def test_every_base_is_pinned_by_digest() -> None:
    bases = {stage.base for stage in STAGES} - {stage.name for stage in STAGES}
    assert bases == {"${BASE}"}
    assert re.fullmatch(r"python:3\.13\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", ARGUMENTS["BASE"])


def test_the_base_has_the_python_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.13,<3.14"
    assert ARGUMENTS["BASE"].startswith("python:3.13.")


def test_nothing_floats() -> None:
    assert "latest" not in DOCKERFILE
    assert re.search(r"ARG UV_VERSION=\d+\.\d+\.\d+$", DOCKERFILE, re.MULTILINE)
    assert all("--frozen" in command for stage in STAGES for command in stage.of("RUN") if "uv sync" in command)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name or "image")
def test_what_is_copied_is_there_and_not_ignored(stage: Stage) -> None:
    sources = [source for copy in stage.of("COPY") if "--from" not in copy for source in copy.split()[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if f"!{source}" not in IGNORED] == []
    assert IGNORED[1] == "*"


def test_the_image_runs_as_a_user_of_its_own_under_an_init() -> None:
    assert IMAGE.of("USER") == ["10001:10001"]
    assert ast.literal_eval(IMAGE.of("ENTRYPOINT")[0]) == ["/usr/bin/tini", "--", "python", "-m", "core.service"]
    assert ast.literal_eval(IMAGE.of("CMD")[0]) == ["web"]
    assert [name for name, _ in IMAGE.instructions].index("USER") > max(
        number for number, (name, _) in enumerate(IMAGE.instructions) if name == "COPY"
    )


def test_the_image_has_a_health_check_for_every_service() -> None:
    (check,) = IMAGE.of("HEALTHCHECK")
    assert check.endswith('CMD ["python", "-m", "core.service.health"]')


def test_the_image_opens_the_ports_of_its_services() -> None:
    assert {int(port) for port in IMAGE.of("EXPOSE")[0].split()} == {
        service.port for service in SERVICES.values() if service.port
    }


def test_no_stage_holds_a_secret() -> None:
    assert re.findall(r"(?i)\b(?:ARG|ENV) \w*(?:SECRET|TOKEN|PASSWORD|KEY)\w*", DOCKERFILE) == []


def test_what_the_image_keeps_of_botocore_is_what_the_services_talk_to() -> None:
    talks = {
        service
        for source in (ROOT / "core").rglob("*.py")
        if "local" not in source.relative_to(ROOT).parts
        for service in re.findall(r"(?:client|resource)\(\s*\"([a-z0-9]+)\"", source.read_text())
    }
    kept = re.search(r"KEPT='([^']+)'", SLIM)
    assert kept
    assert talks
    assert talks - set(kept[1].split("|")) == set()
