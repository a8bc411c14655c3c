"""Content of a file as its reader needs it: decompressed and in UTF-8, in a temporary copy if it is not so already."""

from __future__ import annotations

import codecs
import gzip
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import IO, Any, cast

from cxr_rewards.errors import InputError, MissingDependencyError
from cxr_rewards.files.formats import MAGIC, compression_of

STDIN = "stdin"
"""Name of the standard input in messages."""

_BLOCK = 1 << 20
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # UTF-32's little-endian mark begins with that of UTF-16


@dataclass(frozen=True)
class Content:
    """A file, and where its content can be read.

    Attributes:
        path: the file; of the standard input, the copy.
        name: for messages.
        copy: a decompressed or recoded copy; `None` if the file itself can be read.
        encoding: of the text before it was recoded; `utf-8` if it was not.
    """

    path: Path
    name: str
    copy: Path | None = None
    encoding: str = "utf-8"

    @property
    def readable(self) -> Path:
        """The file to read."""
        return self.copy or self.path

    def start(self, count: int = _BLOCK) -> bytes:
        """Return the first bytes of the content."""
        with self.readable.open("rb") as file:
            return file.read(count)

    def forget(self) -> None:
        """Delete the copy."""
        if self.copy is not None:
            self.copy.unlink(missing_ok=True)


def content_of(path: Path) -> Content:
    """Return the content of a file, decompressed into a temporary copy if its first bytes say that it is compressed.

    Raises:
        InputError: the compressed data are damaged or end too early, or the file's name claims a compression that it
            does not have.
        MissingDependencyError: the package for this compression is not installed.
        OSError: no space for the copy.
    """
    with path.open("rb") as file:
        start = file.read(4)
    compression = _compression(start)
    if not compression:
        if start and compression_of(path):
            raise InputError(f"{path}: is not compressed with {compression_of(path)}, as its name says; rename it")
        return Content(path, str(path))
    return Content(path, str(path), _decompressed(path, str(path), compression))


def content_of_stdin() -> Content:
    """Return a copy of the standard input, which can be read only once, decompressed.

    Raises:
        InputError: as `content_of`.
        OSError: no space for the copy.
    """
    if sys.stdin is None:  # closed by the shell
        raise InputError(f"{STDIN}: is closed; give a file")
    path = _new_file()
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(cast("IO[bytes]", sys.stdin.buffer), file, _BLOCK)
        with path.open("rb") as file:
            compression = _compression(file.read(4))
        if not compression:
            return Content(path, STDIN, path)
        copy = _decompressed(path, STDIN, compression)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    os.replace(copy, path)
    return Content(path, STDIN, path)


def recoded(content: Content, encoding: str | None) -> Content:
    """Return text content in UTF-8.

    Args:
        content: from `content_of`.
        encoding: as given by the user; `None`: UTF-8, or UTF-16 or UTF-32 if the text begins with their mark.

    Raises:
        InputError: the encoding is unknown or cannot be that of the text. A byte that an encoding of single bytes does
            not have is left to the reader, which reports its row.
        OSError: no space for the copy.
    """
    start = content.start(4)
    marked = next((name for mark, name in _BOMS.items() if start.startswith(mark)), None)
    wanted = marked if encoding is None else _known(encoding)
    if wanted is None or wanted in ("utf-8", "ascii"):
        return content
    if start.startswith(codecs.BOM_UTF8):
        raise InputError(
            f"{content.name}: begins with the mark of UTF-8, so it is not {encoding}; leave out --encoding"
        )
    copy = _new_file()
    try:
        with content.readable.open("rb") as source, copy.open("wb") as target:
            _recode(source, target, wanted, content.name)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    if content.copy == content.path:  # the standard input, whose copy is the file
        os.replace(copy, content.path)
        return Content(content.path, content.name, content.path, wanted)
    content.forget()
    return Content(content.path, content.name, copy, wanted)


def _known(encoding: str) -> str:
    try:
        info: Any = codecs.lookup(encoding)
    except (LookupError, ValueError):
        info = None
    if info is None or not info._is_text_encoding:
        raise InputError(f"--encoding: unknown encoding {encoding!r}; examples: utf-8, utf-16, cp1252, latin-1")
    return str(info.name)


def _recode(source: IO[bytes], target: IO[bytes], encoding: str, name: str) -> None:
    text = TextIOWrapper(source, encoding=encoding, errors="surrogateescape", newline="")
    lines = 1
    try:
        while block := text.read(_BLOCK):
            lines += block.count("\n")
            try:
                target.write(block.encode("utf-8", "surrogateescape"))
            except UnicodeEncodeError as error:  # half of a pair, as UTF-7 and its like can write
                raise UnicodeDecodeError(encoding, b"", 0, 0, error.reason) from None
    except UnicodeError as error:
        raise InputError(
            f"{name}: cannot be read as {encoding} after line {lines:,} ({error}); give another --encoding"
        ) from None
    finally:
        text.detach()


def _compression(start: bytes) -> str:
    return next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), "")


def _decompressed(path: Path, name: str, compression: str) -> Path:
    copy = _new_file()
    written = 0
    try:
        with path.open("rb") as raw, reading(raw, compression) as file, copy.open("wb") as target:
            while block := file.read(_BLOCK):
                target.write(block)
                written += len(block)
    except (EOFError, gzip.BadGzipFile, zlib.error, _zstd_error()) as error:
        copy.unlink(missing_ok=True)
        what = "ends in the middle of its" if isinstance(error, EOFError) else "has damaged"
        raise InputError(
            f"{name}: {what} {compression} data after {written:,} bytes of content ({error}); write it again"
        ) from error
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy


@contextmanager
def reading(file: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    """Open compressed data for reading; the end in the middle of them is an `EOFError`."""
    if compression == "gzip":
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield cast("IO[bytes]", unpacked)
    elif compression == "zstd":
        yield cast("IO[bytes]", BufferedReader(_ZstdFrames(file), _BLOCK))
    else:
        yield file


@contextmanager
def writing(file: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    """Open a file for compressed writing; equal content gives equal bytes."""
    if compression == "gzip":
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
            yield cast("IO[bytes]", packed)
    elif compression == "zstd":
        with _zstandard().ZstdCompressor().stream_writer(file, closefd=False) as packed:
            yield packed
    else:
        yield file


class _ZstdFrames(RawIOBase):
    """Reads Zstandard data of one or several frames, and notices if the last one has no end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frames = _zstandard().ZstdDecompressor()
        self._frame: Any = None
        self._packed = b""
        self._block = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._block:
            packed = self._packed or self._file.read(1 << 17)
            if not packed:
                if self._frame is not None:
                    raise EOFError("its last frame has no end")
                return 0
            self._frame = self._frame or self._frames.decompressobj()
            self._block, self._packed = self._frame.decompress(packed), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        return count


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise MissingDependencyError(f'Zstandard files need: pip install "cxr_rewards[zst]" ({error})') from error
    return zstandard


def _zstd_error() -> type[Exception]:
    module = sys.modules.get("zstandard")
    return cast("type[Exception]", module.ZstdError) if module else EOFError


def _new_file() -> Path:
    handle, path = tempfile.mkstemp(prefix="cxr_rewards-")
    os.close(handle)
    return Path(path)
