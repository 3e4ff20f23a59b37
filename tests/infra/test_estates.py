"""What the tests of the estate stand on: findings stop a synthesis, and one synthesis is enough for all processes of a run."""

from pathlib import Path

import pytest

from cdk.config import Config
from tests.infra import estates
from tests.infra.estates import CONTEXTS, SHARED, application, synthesised

# isort: split
from aws_cdk import Stack, Validations
from aws_cdk.aws_sns import Topic
from cdk_nag import AwsSolutionsChecks


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The environments that were synthesised, in an empty folder of a run, with a template that says little."""
    done: list[str] = []

    def synthesise(config: Config, folder: Path) -> None:
        done.append(config.env)
        folder.mkdir(exist_ok=True)
        (folder / f"{config.env}-uptimemonitor-network.template.json").write_text('{"Resources": {}}')
        if config.profile == "lean" and len(done) == 1:
            raise RuntimeError("a finding")

    monkeypatch.setattr(estates, "_synthesise", synthesise)
    monkeypatch.setenv(SHARED, str(tmp_path))
    return done


@pytest.mark.timeout(300)
def test_a_finding_of_cdk_nag_stops_a_synthesis(tmp_path: Path) -> None:
    app = application(tmp_path)
    Topic(Stack(app, "careless"), "Open")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="AwsSolutions-SNS3"):
        app.synth()


def test_a_configuration_is_synthesised_once(made: list[str]) -> None:
    first, second = (synthesised(dict(CONTEXTS["dev"])) for _ in range(2))
    synthesised(CONTEXTS["staging"])

    assert first == second
    assert first.templates == {"network": {"Resources": {}}}
    assert made == ["dev", "staging"]


def test_what_had_a_finding_is_no_estate_for_the_next_one_either(made: list[str]) -> None:
    with pytest.raises(RuntimeError, match="a finding"):
        synthesised(CONTEXTS["staging, lean"])
    synthesised(CONTEXTS["staging, lean"])

    assert made == ["staging", "staging"]
