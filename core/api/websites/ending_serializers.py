"""Answers about what ends: certificates, and registrations of domains."""

from enum import StrEnum
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.monitors.models import Certificate, Domain


class CertificateFactsAnswer(serializers.Serializer[Any]):
    """One certificate. Subject and issuer are written as in RFC 4514; serial and fingerprint are hexadecimal."""

    subject = serializers.CharField()
    issuer = serializers.CharField()
    names = serializers.ListField(
        child=serializers.CharField(), help_text="Host names and addresses that it is valid for, 100 at most."
    )
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    serial = serializers.CharField()
    fingerprint_sha256 = serializers.CharField()


class CertificateAnswer(Answer[Certificate]):
    """The chain that a website showed: where redirects lead through several, the one that was refused, or that ends first."""

    host = serializers.CharField()
    port = serializers.IntegerField()
    fingerprint_sha256 = serializers.CharField(source="fingerprint")
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    valid = serializers.SerializerMethodField()
    error = serializers.CharField(help_text="Why the chain was refused; empty where it was not.")
    first_seen_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(help_text="The latest reading, exact to a day while nothing changes.")
    chain = serializers.SerializerMethodField()

    def get_valid(self, certificate: Certificate) -> bool | None:
        """Whether the chain was accepted; null where the website's `verify_tls` is off."""
        return not certificate.error if certificate.verified else None

    @extend_schema_field(CertificateFactsAnswer(many=True))
    def get_chain(self, certificate: Certificate) -> Any:
        """The website's own certificate, then those that it was sent with."""
        return certificate.chain


class DomainState(StrEnum):
    """What is known of the end of a domain."""

    OFF = "off"
    WAITING = "waiting"
    KNOWN = "known"
    UNKNOWN = "unknown"


class DomainAnswer(serializers.Serializer[Any]):
    """What its registry says about the domain of a website."""

    domain = serializers.CharField()
    state = serializers.ChoiceField(
        choices=[state.value for state in DomainState],
        help_text="`waiting` for the first question, `unknown` when the latest came to nothing, `off` where this installation asks nobody.",
    )
    ends_at = serializers.DateTimeField(allow_null=True, help_text="As the registry said last.")
    registrar = serializers.CharField(allow_null=True)
    failure = serializers.CharField(allow_null=True, help_text="Why the latest question came to nothing.")
    answered_at = serializers.DateTimeField(allow_null=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True, help_text="When the registry is asked again.")


def domain_answer(name: str, domain: Domain | None, *, asking: bool) -> dict[str, Any]:
    """The answer about a domain that is watched; `domain` is None until somebody has looked for it."""
    return {
        "domain": name,
        "state": _state(domain, asking=asking).value,
        "ends_at": domain and domain.ends_at,
        "registrar": (domain and domain.registrar) or None,
        "failure": (domain and domain.failure) or None,
        "answered_at": domain and domain.answered_at,
        "asked_at": domain and domain.asked_at,
        "next_at": domain.next_at if domain and asking else None,
    }


def _state(domain: Domain | None, *, asking: bool) -> DomainState:
    if not asking:
        return DomainState.OFF
    if domain is None or domain.asked_at is None:
        return DomainState.WAITING
    return DomainState.UNKNOWN if domain.failure else DomainState.KNOWN
