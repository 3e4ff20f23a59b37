"""What the tests of the estate share."""

import os

import pytest

from tests.infra.estates import SHARED


@pytest.fixture(scope="session", autouse=True)
def shared_estates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One folder of estates for all processes of a run: each of pytest-xdist has a folder of its own beside those of the others."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "estates"
    shared.mkdir(exist_ok=True)
    os.environ[SHARED] = str(shared)
