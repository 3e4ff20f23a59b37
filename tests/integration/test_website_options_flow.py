"""Options of websites on their way from PostgreSQL to the probe: plain, sealed, and unreadable."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from cryptography.fernet import Fernet

from core.adapters.option_seal import OptionSeal
from core.domain.outcomes import Outcome, Reason
from core.domain.request_options import BadOption, Bearer, RequestOptions
from core.flows.websites import Claim, claim_due, hand_back, load, no_seal
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = Fernet.generate_key().decode()
SECRET = RequestOptions(auth=Bearer(token="t0k"))


def claim(connection: psycopg.Connection) -> Claim:
    return claim_due(connection, NOW, horizon=timedelta(seconds=1.5), limit=100)


def test_options_are_read_and_a_plain_website_has_none(connection: psycopg.Connection) -> None:
    workspace = make_workspace(connection, NOW)
    monitor_id = make_website(connection, workspace, NOW)
    sealed = OptionSeal([KEY]).seal(SECRET)
    plain = make_website(connection, workspace, NOW, options='{"ip_version": 6}')
    secret = make_website(connection, workspace, NOW, options='{"auth": {"kind": "masked"}}', sealed_options=sealed)
    jobs, spoilt = load(connection, claim(connection), NOW, open_sealed=OptionSeal([KEY]).open)
    assert not spoilt
    assert {job.monitor.id: job.request.options for job in jobs} == {
        monitor_id: None,
        plain: RequestOptions(ip_version=6),
        secret: SECRET,
    }


@pytest.mark.parametrize(
    "columns",
    [{"options": '{"from_the_future": 1}'}, {"options": "{}", "sealed_options": "x"}, {"options": "{}", "sealed_options": "é"}],
)
def test_options_that_cannot_be_read_are_our_trouble(connection: psycopg.Connection, columns: dict[str, str]) -> None:
    make_website(connection, make_workspace(connection, NOW), NOW, **columns)
    for open_sealed in (no_seal, OptionSeal([KEY]).open):
        jobs, spoilt = load(connection, claim(connection), NOW, open_sealed=open_sealed)
        assert not jobs
        assert [(done.result.outcome, done.result.reason) for done in spoilt] == [(Outcome.UNKNOWN, Reason.INTERNAL)]
        hand_back(connection, spoilt[0].job.lease_id, [spoilt[0].job.monitor.id])


def test_a_key_that_is_gone_is_our_trouble() -> None:
    seal = OptionSeal([KEY])
    assert OptionSeal([Fernet.generate_key().decode(), KEY]).open(seal.seal(SECRET)) == SECRET
    for keys in ([], [Fernet.generate_key().decode()]):
        with pytest.raises(BadOption):
            OptionSeal(keys).open(seal.seal(SECRET))
    assert KEY not in repr(seal)
