"""Requests and answers about when alerts are grouped."""

from typing import Any

from rest_framework import serializers

from core.api.answers import Answer
from core.api.fields import Strict, Whole

MOST_ALONE = 1000
LONGEST_S = 3600


class GroupingRequest(Strict):
    """When alerts become one message; what is not sent stays."""

    group_after = Whole(min_value=0, max_value=MOST_ALONE, required=False)
    group_within_s = Whole(min_value=1, max_value=LONGEST_S, required=False)


class GroupingAnswer(Answer[Any]):
    """When alerts become one message."""

    group_after = serializers.IntegerField(
        help_text="So many messages about changes go to a channel at once; what is more becomes one message. 0: never."
    )
    group_within_s = serializers.IntegerField(help_text="One more message may go each time so many seconds have passed.")
