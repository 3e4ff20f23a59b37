"""Settings are typed, and what is wrong stops the process with the variable's name, never with its value."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.env import Env, Secret, SettingError


def no_secrets(secret_id: str) -> str:
    """Secrets Manager must not be asked."""
    raise AssertionError(f"asked for {secret_id}")


def env(environ: Mapping[str, str], fetch: Callable[[str], str] = no_secrets) -> Env:
    """An environment of a test's own."""
    return Env(environ, fetch)


def test_text_comes_from_the_variable() -> None:
    assert env({"NAME": "web"}).text("NAME") == "web"


def test_text_comes_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("from a file\n")

    assert env({"NAME_FILE": str(tmp_path / "name")}).text("NAME") == "from a file"


def test_text_comes_from_secrets_manager() -> None:
    assert env({"NAME_SECRET": "prod/name"}, fetch=lambda secret_id: f"value of {secret_id}").text("NAME") == "value of prod/name"


def test_the_variable_comes_before_file_and_secret(tmp_path: Path) -> None:
    environ = {"NAME": "itself", "NAME_FILE": str(tmp_path / "absent"), "NAME_SECRET": "prod/name"}

    assert env(environ).text("NAME") == "itself"


def test_the_file_comes_before_the_secret(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("from a file")

    assert env({"NAME_FILE": str(tmp_path / "name"), "NAME_SECRET": "prod/name"}).text("NAME") == "from a file"


def test_an_empty_variable_hides_no_file(tmp_path: Path) -> None:
    (tmp_path / "name").write_text("from a file")

    assert env({"NAME": "", "NAME_FILE": str(tmp_path / "name")}).text("NAME") == "from a file"


def test_a_file_that_is_no_text_stops_the_process(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"\xff\xfe")

    with pytest.raises(SettingError, match=r"^NAME_FILE: .* is not UTF-8 text$"):
        env({"NAME_FILE": str(tmp_path / "name")}).text("NAME")


def test_an_unreadable_file_stops_the_process(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^NAME_FILE: cannot read .*absent: No such file or directory$"):
        env({"NAME_FILE": str(tmp_path / "absent")}).text("NAME", "default")


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}], ids=["unset", "empty"])
class TestWithoutAValue:
    def test_a_default_is_taken(self, environ: dict[str, str]) -> None:
        assert env(environ).text("NAME", "web") == "web"
        assert env(environ).optional_text("NAME") is None
        assert env(environ).integer("NAME", 3) == 3
        assert env(environ).number("NAME", 1.5) == 1.5
        assert env(environ).boolean("NAME", True) is True
        assert env(environ).words("NAME", "a,b") == ("a", "b")
        assert env(environ).url("NAME", "http://127.0.0.1:8000") == "http://127.0.0.1:8000"
        assert env(environ).secret("NAME", "s").reveal() == "s"

    def test_none_is_an_error_that_names_the_setting(self, environ: dict[str, str]) -> None:
        readers: list[Callable[[str], Any]] = [env(environ).text, env(environ).secret, env(environ).integer, env(environ).url]
        for read in readers:
            with pytest.raises(SettingError, match=r"^NAME is not set$"):
                read("NAME")


@pytest.mark.parametrize(("raw", "value"), [("0", 0), ("60", 60), (" 7 ", 7)])
def test_whole_numbers(raw: str, value: int) -> None:
    assert env({"N": raw}).integer("N") == value


@pytest.mark.parametrize(("raw", "message"), [("ten", "N must be a whole number"), ("1.5", "N must be a whole number")])
def test_what_is_no_whole_number(raw: str, message: str) -> None:
    with pytest.raises(SettingError, match=f"^{message}$"):
        env({"N": raw}).integer("N", 1)


@pytest.mark.parametrize("raw", ["0", "65536", "-1"])
def test_whole_numbers_have_bounds(raw: str) -> None:
    with pytest.raises(SettingError, match=r"^N must be between 1 and 65535$"):
        env({"N": raw}).integer("N", low=1, high=65_535)


def test_decimal_numbers() -> None:
    assert env({"N": "0.25"}).number("N", 1.0) == 0.25


@pytest.mark.parametrize("raw", ["fast", "nan", "inf", "-0.1", "11"])
def test_bad_decimal_numbers(raw: str) -> None:
    with pytest.raises(SettingError, match=r"^N must be "):
        env({"N": raw}).number("N", 1.0, high=10.0)


@pytest.mark.parametrize("raw", ["1", "true", "YES", "On"])
def test_true_words(raw: str) -> None:
    assert env({"B": raw}).boolean("B", False) is True


@pytest.mark.parametrize("raw", ["0", "False", "no", "OFF"])
def test_false_words(raw: str) -> None:
    assert env({"B": raw}).boolean("B", True) is False


def test_other_words_are_neither() -> None:
    with pytest.raises(SettingError, match=r"^B must be true or false$"):
        env({"B": "maybe"}).boolean("B", True)


def test_words_drop_what_is_empty() -> None:
    assert env({"W": " a, ,b,"}).words("W") == ("a", "b")


def test_urls_lose_their_trailing_slash() -> None:
    assert env({"U": "https://example.org/"}).url("U") == "https://example.org"


@pytest.mark.parametrize(
    "raw", ["ftp://example.org", "example.org", "http://", "/path", "http://:80", "http://h:99999", "http://[::1"]
)
def test_bad_urls(raw: str) -> None:
    with pytest.raises(SettingError, match=r"^U must be a URL with scheme http or https$"):
        env({"U": raw}).url("U")


def test_errors_never_show_the_value() -> None:
    password = "hunter2"
    with pytest.raises(SettingError) as caught:
        env({"DATABASE_URL": f"mysql://u:{password}@h/d"}).url("DATABASE_URL", schemes=("postgresql",))

    assert password not in str(caught.value)


def test_secrets_do_not_show() -> None:
    secret = env({"S": "hunter2"}).secret("S")

    assert (str(secret), repr(secret), f"{secret}") == ("***", "Secret(***)", "***")
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
