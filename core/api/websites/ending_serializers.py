"""Answers about what ends: certificates."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.monitors.models import Certificate


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
