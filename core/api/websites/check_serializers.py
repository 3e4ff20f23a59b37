"""Answers about checks that somebody waits for, as `core.contracts.check_reports` has them."""

from typing import Any

from rest_framework import serializers

from core.api.monitors.serializers import OUTCOMES, STATES
from core.api.websites.ending_serializers import CertificateFactsAnswer


class HopAnswer(serializers.Serializer[Any]):
    """One request of a check."""

    url = serializers.CharField()
    address = serializers.CharField(allow_null=True)
    status_code = serializers.IntegerField(allow_null=True)


class ShownCertificateAnswer(serializers.Serializer[Any]):
    """The chain that the check saw."""

    host = serializers.CharField()
    port = serializers.IntegerField()
    valid = serializers.BooleanField(allow_null=True, help_text="null where `verify_tls` is off.")
    error = serializers.CharField(help_text="Why the chain was refused; empty where it was not.")
    chain = CertificateFactsAnswer(many=True)


class CheckReportAnswer(serializers.Serializer[Any]):
    """One check with all that is known of it. Phases that did not happen are null; over redirects a phase adds up."""

    website = serializers.UUIDField()
    started_at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField()
    detail = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES, help_text="Of the website, after this check.")
    status_code = serializers.IntegerField(allow_null=True)
    dns_ms = serializers.FloatField(allow_null=True)
    connect_ms = serializers.FloatField(allow_null=True)
    tls_ms = serializers.FloatField(allow_null=True)
    first_byte_ms = serializers.FloatField(allow_null=True)
    total_ms = serializers.FloatField(allow_null=True)
    address = serializers.CharField(allow_null=True, help_text="The address that was connected to last.")
    http_version = serializers.CharField(allow_null=True)
    body_bytes = serializers.IntegerField(allow_null=True, help_text="What was read of the body; that ends at a limit.")
    hops = HopAnswer(many=True, help_text="Every request, redirects first; the last one was judged.")
    is_downgraded = serializers.BooleanField(help_text="A redirect led from https to http.")
    certificate = ShownCertificateAnswer(allow_null=True)
    joined = serializers.BooleanField(
        help_text="It was under way already when it was asked for; its certificate is there only if it was read anyway."
    )


class PendingCheckAnswer(serializers.Serializer[Any]):
    """A check that is not there yet."""

    id = serializers.UUIDField()
    url = serializers.CharField(help_text="Where its report will be, for ten minutes.")
