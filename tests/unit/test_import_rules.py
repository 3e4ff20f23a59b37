"""Every import rule, proved by a broken example: a tree of empty modules with one offending import in it.

The skeleton has the names of the real tree and the contracts of the real `pyproject.toml`, so a rule that was loosened or that
names a module which does not exist any more fails here.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["name"]: contract["id"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

OFFENCES = [
    # a lower layer imports the one above it, or a sibling
    ("layers", "core/local/example.py", "import core.cli"),
    ("layers", "core/client/example.py", "import core.local"),
    ("layers", "core/local/example.py", "import core.client"),
    ("layers", "core/checker/example.py", "import core.local"),
    ("layers", "core/checker/example.py", "import core.inbox"),
    ("layers", "core/inbox/example.py", "import core.checker"),
    ("layers", "core/api/example.py", "import core.checker"),
    ("layers", "core/flows/example.py", "import core.api"),
    ("layers", "core/flows/example.py", "import core.checker"),
    ("layers", "core/adapters/example.py", "import core.flows"),
    ("layers", "core/metrics.py", "import core.adapters"),
    ("layers", "core/logs.py", "import core.adapters"),
    ("layers", "core/logs.py", "import core.metrics"),
    ("layers", "core/metrics.py", "import core.logs"),
    ("layers", "core/domain/example.py", "import core.adapters"),
    ("layers", "core/domain/example.py", "import core.metrics"),
    ("layers", "core/contracts/example.py", "import core.domain"),
    ("layers", "core/env.py", "import core.domain"),
    ("layers", "core/unplaced.py", ""),  # exhaustive: a module outside all layers
    # deployables
    ("lambdas-know-contracts-only", "lambdas/ping/example.py", "import core.domain"),
    ("lambdas-know-contracts-only", "lambdas/ping/example.py", "import core.env"),
    ("lambdas-know-contracts-only", "lambdas/alert_dispatch/example.py", "import psycopg"),
    ("lambdas-are-strangers", "lambdas/ping/example.py", "import lambdas.alert_dispatch"),
    ("lambdas-are-strangers", "lambdas/alert_dispatch/example.py", "import lambdas.ping"),
    ("signed-requests-know-nobody", "lambdas/signed_aws/example.py", "import lambdas.ping"),
    ("signed-requests-know-nobody", "lambdas/signed_aws/example.py", "import botocore"),
    ("signed-requests-know-nobody", "lambdas/http1/example.py", "import lambdas.alert_dispatch"),
    ("lambdas-are-deployed-apart", "core/checker/example.py", "import lambdas.ping"),
    ("lambdas-are-deployed-apart", "core/adapters/example.py", "import lambdas.alert_dispatch"),
    # what must not be loaded where
    ("no-django-in-the-checker", "core/checker/example.py", "import django"),
    ("no-django-in-the-checker", "core/inbox/example.py", "from rest_framework import views"),
    ("no-stand-ins-in-the-product", "core/adapters/example.py", "import moto"),
    ("no-stand-ins-in-the-product", "lambdas/alert_dispatch/example.py", "import aiosmtpd"),
    # subscribers, as strangers write them
    ("examples-are-strangers", "examples/subscriber/example.py", "import core.contracts"),
    ("examples-are-strangers", "examples/subscriber/example.py", "import lambdas.ping"),
    ("no-cdk-in-the-product", "core/local/example.py", "import aws_cdk"),
    ("no-cdk-in-the-product", "lambdas/ping/example.py", "import examples.subscriber"),
    ("no-cdk-in-the-product", "core/local/example.py", "import cdk.config"),
    ("cdk-knows-contracts-only", "cdk/stacks/example.py", "import core.env"),
    ("cdk-knows-contracts-only", "cdk/stacks/example.py", "import lambdas.ping"),
    ("pure-domain", "core/domain/example.py", "import psycopg"),
    ("pure-domain", "core/domain/example.py", "import core.env"),
]


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The names of the real tree, all modules empty."""
    root = tmp_path_factory.mktemp("skeleton")
    for package in ("cdk", "core", "examples", "lambdas"):
        for source in (ROOT / package).rglob("*.py"):
            copy = root / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def tree(skeleton: Path) -> Iterator[Path]:
    """The skeleton, as it was before when the test ends."""
    yield skeleton
    for source in skeleton.rglob("*.py"):
        if source.stat().st_size:
            source.write_text("")
        if not (ROOT / source.relative_to(skeleton)).exists():
            source.unlink()


def broken_contracts(root: Path) -> set[str]:
    """The ids of the contracts that `lint-imports` finds broken in `root`."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"]
    # both the working folder and PYTHONPATH come before the installed checkout
    env = {"PYTHONPATH": str(root), "COLUMNS": "200"}
    done = subprocess.run(command, check=False, cwd=root, env=env, capture_output=True, text=True)
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)(?: .*)?$", done.stdout, re.MULTILINE))
    assert verdicts.keys() == CONTRACTS.keys(), done.stdout + done.stderr
    broken = {CONTRACTS[name] for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert done.returncode == (1 if broken else 0), done.stdout + done.stderr
    return broken


def test_a_clean_tree_keeps_every_rule(skeleton: Path) -> None:
    assert broken_contracts(skeleton) == set()


@pytest.mark.parametrize(("contract", "module", "line"), OFFENCES, ids=lambda value: value or "nothing")
def test_one_offending_import_breaks_exactly_its_rule(tree: Path, contract: str, module: str, line: str) -> None:
    (tree / module).write_text(line + "\n")

    assert broken_contracts(tree) == {contract}


def test_django_behind_another_module_is_found(tree: Path) -> None:
    (tree / "core/flows/incidents.py").write_text("import django\n")
    (tree / "core/checker/example.py").write_text("import core.flows.incidents\n")

    assert broken_contracts(tree) == {"no-django-in-the-checker"}


def test_every_rule_has_a_broken_example() -> None:
    assert {contract for contract, _, _ in OFFENCES} == set(CONTRACTS.values())


def test_lambdas_are_denied_every_part_of_core_but_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    denied = next(c["forbidden_modules"] for c in contracts if c["id"] == "lambdas-know-contracts-only")
    parts = {f"core.{path.stem}" for path in (ROOT / "core").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert parts - {"core.__init__", "core.contracts"} == {name for name in denied if name.startswith("core.")}


def test_the_real_tree_keeps_every_rule() -> None:
    assert broken_contracts(ROOT) == set()
