"""The app as the CDK starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.estates import CONTEXTS, ROOT


def synthesise(out: Path, context: dict[str, object]) -> "subprocess.CompletedProcess[str]":
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "PYTHONDONT"))}
    env |= {"CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps({**flags, "aws:cdk:bundling-stacks": [], **context})}
    return subprocess.run([sys.executable, "-m", "cdk.app"], check=False, cwd=ROOT, env=env, capture_output=True, text=True)


def test_a_wrong_key_stops_it_with_its_name(tmp_path: Path) -> None:
    done = synthesise(tmp_path, {**CONTEXTS["dev"], "web_task": "2"})

    assert done.returncode == 1
    assert done.stderr.strip().endswith("web_task: there is no such key")


@pytest.mark.timeout(300)
def test_an_environment_is_synthesised_without_credentials_from_what_is_its_own(tmp_path: Path) -> None:
    own = {key: value for key, value in CONTEXTS["dev"].items() if key != "env"}
    done = synthesise(tmp_path, {"env": "dev", "environments": {"dev": own}})

    assert done.returncode == 0, done.stderr
    stacks = {path.name.split(".")[0].removeprefix("dev-uptimemonitor-") for path in tmp_path.glob("*.template.json")}
    assert stacks == {"delivery", "network", "data", "events", "edge", "core", "monitoring"}
