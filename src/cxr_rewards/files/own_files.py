"""Working files beside an output (`.NAME.partial`, `.NAME.progress`, `.run.json`): links are never followed.

Their names are predictable, so in a folder that others may write to, somebody can put a link there. The target of such
a link is neither read nor changed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from cxr_rewards.errors import InputError

_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its other end


def create_new(path: Path) -> IO[bytes]:
    """Create a file that is certain to be new, and open it for reading and writing.

    A file or link of that name is deleted first; the target of a link stays.

    Raises:
        InputError: a folder has the name.
        OSError: the disk is full, or the like.
    """
    if path.is_dir() and not path.is_symlink():
        raise InputError(f"{path}: is a folder, and in the way of a file of that name; move it")
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _PLAIN, 0o666), "w+b")


def open_own(path: Path) -> IO[bytes]:
    """Open a file for reading and appending, creating it if it does not exist.

    Raises:
        InputError: it is a link, has a second name (a hard link), or is a folder, a pipe or a device.
        OSError: it cannot be opened.
    """
    if path.is_symlink():  # the flag below catches a link that is made after this line
        raise InputError(f"{path}: is a link, which is not followed; delete it")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, and in the way of a file of that name; move it")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _PLAIN | _NO_WAIT, 0o666)
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(handle)
        what = "has a second name (a hard link)" if stat.S_ISREG(state.st_mode) else "is not a regular file"
        raise InputError(f"{path}: {what}, so this library did not write it; delete it")
    return os.fdopen(handle, "a+b")


def read_own(path: Path) -> bytes | None:
    """Return the content of a file; `None` if it does not exist.

    Raises:
        InputError: it is a link, a folder, a pipe or a device.
    """
    if not path.exists() and not path.is_symlink():
        return None
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: is not a regular file, so this library did not write it; delete it")
    return path.read_bytes()


def replace_own(path: Path, content: bytes) -> None:
    """Replace a file in one step: whatever happens, it holds either the old content or the new."""
    partial = path.with_name(f".{path.name.lstrip('.')}.partial")
    with create_new(partial) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def sync_folder(folder: Path) -> None:
    """Make a new file name survive a power cut, if the system can sync folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
