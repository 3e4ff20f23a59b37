"""Leaves out of shared libraries what debuggers and linkers alone read: half of some of them, and a cold start unpacks all of it.

`strip` does it for one architecture. What a program needs lies in the segments that the header of the file tells of. Symbols for debuggers
lie behind all of them, and who loads a library does not read the table of sections, which names those (elf(5)).
"""

import struct
from pathlib import Path
from typing import Final

ELF_64_LITTLE: Final = b"\x7fELF\x02\x01"
HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
"""Ident, type, machine, version, entry, places of segments and of sections, flags, own size, size and number of both, names."""
SEGMENT: Final = struct.Struct("<IIQQQQQQ")


class UnknownLibrary(Exception):
    """Nothing that Lambda could load."""


def strip(library: Path) -> None:
    """Replace the file, which may have other names elsewhere (uv's cache), by one that ends behind the last segment and has no sections.

    Raises:
        UnknownLibrary: it is not a 64-bit little-endian ELF file.
    """
    content = library.read_bytes()
    if not content.startswith(ELF_64_LITTLE):
        raise UnknownLibrary(f"{library} is no library for 64-bit machines")
    stripped = library.with_name(library.name + ".stripped")
    stripped.write_bytes(_without_sections(content))
    stripped.chmod(library.stat().st_mode)
    stripped.replace(library)


def _without_sections(content: bytes) -> bytes:
    *start, segments, _sections, flags, size, segment_size, number, section_size, _count, _names = HEADER.unpack_from(content)
    end = segments + number * segment_size
    for index in range(number):
        _kind, _flags, offset, _address, _physical, in_file, _in_memory, _align = SEGMENT.unpack_from(
            content, segments + index * segment_size
        )
        end = max(end, offset + in_file)
    header = HEADER.pack(*start, segments, 0, flags, size, segment_size, number, section_size, 0, 0)
    return header + content[HEADER.size : end]
