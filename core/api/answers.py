"""Serializers for answers: declared like any other, for the description of the API, and ten times cheaper to run.

REST framework looks up, checks and converts each field of each row; our values come from PostgreSQL in the types that JSON rendering
takes, so plain fields are read by one compiled getter each.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, override

from rest_framework import serializers

type Getter = Callable[[Any], Any]

PLAIN = (
    serializers.BooleanField,
    serializers.CharField,
    serializers.ChoiceField,
    serializers.DateTimeField,
    serializers.FloatField,
    serializers.IntegerField,
    serializers.ListField,
    serializers.UUIDField,
)
"""Fields whose values are rendered as they are stored."""


class Answer[T](serializers.Serializer[T]):
    """Shows attributes, named by `source`; a method `get_<field>` may depend on its argument alone."""

    @override
    def to_representation(self, instance: T) -> dict[str, Any]:
        return {name: read(instance) for name, read in self._getters()}

    def _getters(self) -> list[tuple[str, Getter]]:
        if not hasattr(self, "_compiled"):
            self._compiled = [(name, _getter(self, field)) for name, field in self.fields.items()]
        return self._compiled


def _getter(serializer: serializers.Serializer[Any], field: serializers.Field[Any, Any, Any, Any]) -> Getter:
    if isinstance(field, serializers.SerializerMethodField):
        method: Getter = getattr(serializer, str(field.method_name))
        return method
    read = attrgetter(str(field.source))
    if isinstance(field, PLAIN):
        return read
    return lambda instance: None if (value := read(instance)) is None else field.to_representation(value)
