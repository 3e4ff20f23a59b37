"""What Prometheus, Alertmanager and Grafana are given: it names only metrics that exist, and fits where it must."""

import base64
import io
import json
import re
import tarfile
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from core import metrics
from tests.infra.estates import ROOT

# isort: split
from cdk.stacks.watchers import packed

ASSETS = ROOT / "cdk/assets"
TASK_DEFINITION_LIMIT = 64 * 1024
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")


def known() -> set[str]:
    families = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    return {f"{family.name}{suffix}" for metric in families for family in metric.describe() for suffix in SUFFIXES}


@pytest.mark.parametrize(
    "path", [path for path in ASSETS.rglob("*") if path.suffix in (".yml", ".json")], ids=lambda path: path.name
)
def test_every_metric_is_one_of_ours(path: Path) -> None:
    named = set(re.findall(r"\buptime_[a-z_]+\b", path.read_text(encoding="utf-8")))
    assert named <= known()


def test_dashboards_ask_for_something() -> None:
    for path in (ASSETS / "grafana/dashboards").glob("*.json"):
        board = json.loads(path.read_text(encoding="utf-8"))
        assert board["uid"] == path.stem
        assert board["panels"]
        assert all("uptime_" in panel["targets"][0]["expr"] for panel in board["panels"])


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "grafana"])
def test_assets_fit_into_a_task_definition_and_unpack_as_they_are(name: str) -> None:
    text = packed(ASSETS / name)
    assert text == packed(ASSETS / name)
    assert len(text) < TASK_DEFINITION_LIMIT / 2
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(text)), mode="r:gz") as archive:
        for entry in archive.getmembers():
            unpacked = archive.extractfile(entry)
            assert unpacked
            assert unpacked.read() == (ASSETS / name / entry.name).read_bytes()
