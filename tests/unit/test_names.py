"""Deployables agree on names because they derive them from one place."""

import inspect

import pytest

from core.contracts.names import Names

PROPERTIES = [name for name, value in inspect.getmembers(Names) if isinstance(value, property)]


def test_names_say_environment_product_and_purpose() -> None:
    names = Names("prod")

    assert names.bus == "prod-uptimemonitor-events"
    assert names.pings_queue == "prod-uptimemonitor-pings"
    assert names.vault_key_secret == "prod/uptimemonitor/channel-vault-keys"


def test_dead_letters_are_named_after_their_queue() -> None:
    assert Names.dead_letters(Names("prod").alerts_queue) == "prod-uptimemonitor-alerts-dead"


@pytest.mark.parametrize("name", PROPERTIES)
def test_environments_share_nothing(name: str) -> None:
    assert getattr(Names("prod"), name) != getattr(Names("staging"), name)


def test_no_two_resources_share_a_name() -> None:
    assert len({getattr(Names("prod"), name) for name in PROPERTIES}) == len(PROPERTIES)


@pytest.mark.parametrize("name", [n for n in PROPERTIES if n.endswith("_queue")])
def test_queue_names_fit_sqs(name: str) -> None:
    """80 characters with the dead-letter suffix, for environment names up to 20 characters."""
    assert len(Names.dead_letters(getattr(Names("e" * 20), name))) <= 80
