"""Reads an untrusted zip within bounds. Knows nothing of what is in it.

Sizes that a zip declares are not believed: what comes out is counted, and compared with its checksum.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.card import ModelFileError
from service.errors import writing_temporary_files

_PIECE_BYTES = 1 << 20
_MOST_ENTRIES = 10_000
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at `path`. Raises ModelFileError where it is damaged, also for what is found so while it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > _MOST_ENTRIES:
                raise ModelFileError(f"it is a zip of more than {_MOST_ENTRIES:,} entries; name a model file")
            yield archive
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
        LookupError,
    ) as error:
        raise ModelFileError(
            f"it is a zip that is damaged or cut short ({str(error) or type(error).__name__:.80}); copy or download it "
            "again"
        ) from error


def check_entries(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    """Raise ModelFileError for anything about these entries of `archive` that no program writes into a model file."""
    names = [entry.filename for entry in archive.infolist()]
    for entry in entries:
        if names.count(entry.filename) > 1:
            raise ModelFileError(f"{entry.filename!r:.60} is in it twice; save the model anew")
        if entry.flag_bits & _ENCRYPTED:
            raise ModelFileError(f"{entry.filename!r:.60} in it is encrypted; make the zip anew without a password")
        if stat.S_ISLNK(entry.external_attr >> 16) or entry.is_dir():
            raise ModelFileError(f"{entry.filename!r:.60} in it is a link or a folder, not a file; save the model anew")
        if entry.compress_type not in _METHODS:
            raise ModelFileError(f"{entry.filename!r:.60} in it is packed in a way that is not known; save it anew")
    _check_overlap(archive)
    declared = sum(entry.file_size for entry in entries)
    if declared > max_bytes:
        raise ModelFileError(
            f"its entries declare {declared:,} bytes, more than the {max_bytes:,} of --max-model-bytes"
        )


def unpack_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most: int) -> None:
    """Write what `entry` holds to a new file at `target`. Raises ModelFileError beyond `most` bytes; StorageFailed."""
    written = 0
    with writing_temporary_files():
        file = target.open("xb")
    with file, archive.open(entry) as source:
        while piece := source.read(_PIECE_BYTES):
            written += len(piece)
            if written > most:
                raise ModelFileError(f"{entry.filename!r:.60} in it unpacks to more than {most:,} bytes")
            with writing_temporary_files():
                file.write(piece)
                file.flush()  # so that a full disk is found here, and not when the file is closed


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """What `entry` holds. Raises ModelFileError beyond `most` bytes."""
    with archive.open(entry) as source:
        content = source.read(most + 1)
        if len(content) > most:
            raise ModelFileError(f"{entry.filename!r:.60} in it has more than {most:,} bytes")
        source.read(1)  # at the end, the checksum is compared
    return content


def _check_overlap(archive: zipfile.ZipFile) -> None:
    """A zip whose entries share their bytes can unpack to many times what any packing allows."""
    end = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise ModelFileError(f"{entry.filename!r:.60} in it lies on top of another entry; save the model anew")
        end = entry.header_offset + entry.compress_size
