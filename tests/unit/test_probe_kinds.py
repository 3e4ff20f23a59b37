"""Kinds of check as the engine finds them."""

import pytest

from core.adapters.probe_kinds import registry
from core.domain.schemes import SCHEMES


def test_every_kind_can_be_probed_and_every_probe_has_a_kind() -> None:
    assert set(registry.KINDS) == {name for name, kind in SCHEMES.items() if not kind.is_http}


@pytest.mark.parametrize("url", ["http://example.com/", "HTTPS://example.com/", "gopher://example.com/", "example.com", ""])
def test_everything_else_is_the_engine_s_own(url: str) -> None:
    assert not registry.has(url)
    assert registry.has("TCP://example.com:80")
