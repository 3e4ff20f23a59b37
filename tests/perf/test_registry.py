"""The benchmarks are found, chosen and written down; what they measure is not judged here."""

import importlib
import json
from pathlib import Path

import pytest

from tests.perf import __main__ as registry


def test_every_benchmark_has_a_run() -> None:
    assert "imports" in registry.names()
    assert all(callable(importlib.import_module(f"tests.perf.bench_{name}").run) for name in registry.names())


def test_without_names_all_are_chosen() -> None:
    assert registry.chosen([]) == registry.names()


def test_an_unknown_name_is_refused_with_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert registry.main(["imports", "nonsense"], quick=True) == 2
    assert "no benchmark nonsense; there are " in capsys.readouterr().err


def test_figures_are_written_flat_and_say_whether_they_are_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.perf.bench_imports.run", lambda quick: {"ping_import_s": 0.25})

    registry.run_one("imports", quick=True, folder=tmp_path / "bench")

    assert json.loads((tmp_path / "bench/imports.json").read_text()) == {"ping_import_s": 0.25, "quick": True}
