"""A shared library without what debuggers read: it loads, and whoever has the same file keeps all of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from httptools.parser import parser

from cdk.shared_libraries import UnknownLibrary, strip

LIBRARY = Path(parser.__file__)
PARSE = """
import sys; sys.path.insert(0, sys.argv[1])
from httptools import HttpRequestParser
import httptools.parser.parser as loaded
assert loaded.__file__.startswith(sys.argv[1]), loaded.__file__
class Heard:
    def on_header(self, name, value): print(name.decode(), value.decode())
HttpRequestParser(Heard()).feed_data(b"GET / HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n")
"""


def test_what_is_left_are_the_segments_and_it_works(tmp_path: Path) -> None:
    package = shutil.copytree(LIBRARY.parents[1], tmp_path / "httptools")
    for library in package.rglob("*.so"):
        strip(library)

    left, whole = (package / "parser" / LIBRARY.name).read_bytes(), LIBRARY.read_bytes()
    assert len(left) < len(whole) / 2
    assert left[64:] == whole[64 : len(left)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", PARSE, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert done.stdout == "Host example.com\n"


def test_other_names_of_the_file_keep_what_they_had(tmp_path: Path) -> None:
    """uv links the files that it installs to its cache."""
    shutil.copy(LIBRARY, tmp_path / "cached.so")
    os.link(tmp_path / "cached.so", tmp_path / "installed.so")
    strip(tmp_path / "installed.so")
    assert (tmp_path / "cached.so").read_bytes() == LIBRARY.read_bytes()
    assert (tmp_path / "installed.so").stat().st_mode == LIBRARY.stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cached.so", "installed.so"]


def test_it_can_be_done_again(tmp_path: Path) -> None:
    library = Path(shutil.copy(LIBRARY, tmp_path / "library.so"))
    strip(library)
    once = library.read_bytes()
    strip(library)
    assert library.read_bytes() == once


@pytest.mark.parametrize(
    "content", [b"", b"INPUT(-lc)\n", b"\x7fELF\x01\x01\x01" + bytes(64)], ids=["empty", "script", "32 bits"]
)
def test_what_lambda_could_not_load_stops_the_build(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.so").write_bytes(content)
    with pytest.raises(UnknownLibrary, match=r"odd\.so is no library for 64-bit machines"):
        strip(tmp_path / "odd.so")
