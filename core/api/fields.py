"""Serializers that take what the schema says and nothing else: no unknown fields, no `"5"` for 5, no `"yes"` for true."""

from collections.abc import Mapping
from typing import Any, override

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError


class Text(serializers.CharField):
    """A JSON string; DRF refuses NUL and lone surrogates, which PostgreSQL cannot store."""

    @override
    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and data is not None and not isinstance(data, str):
            self.fail("invalid")
        return super().run_validation(data)


class Email(Text, serializers.EmailField):
    """An e-mail address, in lower case."""

    @override
    def to_internal_value(self, data: Any) -> str:
        return str(super().to_internal_value(data)).lower()


class Whole(serializers.IntegerField):
    """A JSON number without a fraction."""

    @override
    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false."""

    @override
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Words(serializers.ListField):
    """A list of distinct words, e.g. tags; order is kept, repetitions are dropped."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=Text(max_length=50), max_length=20, **kwargs)

    @override
    def to_internal_value(self, data: Any) -> list[Any]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class Strict(serializers.Serializer[Any]):
    """A serializer for requests: a field that it does not know is an error that names the field."""

    @override
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self.fields]
            if unknown:
                raise ValidationError(
                    {name: [ErrorDetail("is not a field of this request", "unknown_field")] for name in unknown}
                )
        return super().to_internal_value(data)
