"""Links that acknowledge: what they hold, and that nobody else can make or change one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.channel_vault import VaultCipher
from core.contracts.incident_links import GOOD_FOR, IncidentLink, acknowledge_url, opened

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
CIPHER = VaultCipher([OLD])
LINK = IncidentLink(UUID(int=1), UUID(int=2), datetime(2026, 11, 23, 12, tzinfo=UTC) + GOOD_FOR)
URL = "https://up.example.com"


def token(link: IncidentLink = LINK, cipher: VaultCipher = CIPHER) -> str:
    return acknowledge_url(cipher, URL, link).removeprefix(f"{URL}/acknowledge/").removesuffix("/")


@given(st.uuids(), st.uuids(), st.integers(0, 2**32 - 1))
def test_a_link_says_what_was_put_into_it_and_is_short(channel: UUID, incident: UUID, seconds: int) -> None:
    link = IncidentLink(channel, incident, datetime.fromtimestamp(seconds, UTC))
    assert opened(CIPHER, token(link)) == link
    assert len(token(link)) == 70


def test_without_a_public_address_there_is_none() -> None:
    assert acknowledge_url(CIPHER, "", LINK) == ""


@given(st.integers(0, 69), st.sampled_from("ABCDEFGHabcdefgh0123-_"))
def test_a_changed_one_is_refused(place: int, letter: str) -> None:
    changed = token()[:place] + letter + token()[place + 1 :]
    found = opened(CIPHER, changed)
    assert found in {None, LINK}, "the last letter has four bits that say nothing"
    if place < 69 and letter != token()[place]:
        assert found is None


@pytest.mark.parametrize("given_token", ["", "A", "nonsense", "ü", "A" * 70, "A" * 500, "=" * 70, "!" * 70])
def test_nonsense_is_refused(given_token: str) -> None:
    assert opened(CIPHER, given_token) is None


def test_one_outlives_a_rotation_of_the_keys_and_not_the_end_of_its_own() -> None:
    assert opened(VaultCipher([NEW, OLD]), token()) == LINK
    assert opened(VaultCipher([NEW]), token()) is None


def test_the_code_of_a_channel_is_signed_apart() -> None:
    content = LINK.channel_id.bytes + LINK.incident_id.bytes + int((LINK.until + timedelta(0)).timestamp()).to_bytes(4)
    assert CIPHER.digests(content)[0][:16] not in CIPHER.digests(b"acknowledge " + content)
