"""Progress of a run on disk, so that an interrupted run can resume."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from cxr_rewards.errors import InputError, shorten
from cxr_rewards.files.own_files import open_own

_OURS = '{"cxr_rewards_progress": '
_START = _OURS + "3, "  # every journal starts with this; raise the number if the lines change


class Journal:
    """The results of the rows finished so far, in a file `.NAME.progress` beside the output `NAME`.

    The first line holds the fingerprint of the run, each further line the result of one row, in order. `append` returns
    when its lines are on the disk; a process killed at any moment loses at most the chunk it was working on. While
    a journal is open, no other run can open it (if the system has `flock`). A journal without a finished row is deleted
    when it is closed; if a killed run left one, any other run may take it over.

    Attributes:
        path: the file.
        done: number of rows that are finished.

    Example:
        >>> import tempfile
        >>> out = Path(tempfile.mkdtemp()) / "scored.csv"
        >>> with Journal(out, {"reward": "bleu/1"}) as journal:
        ...     journal.append([[0.5, None], [0.25, "no reference"]])
        >>> with Journal(out, {"reward": "bleu/1"}) as journal:  # after an interruption
        ...     journal.done, list(journal.results())
        (2, [[0.5, None], [0.25, 'no reference']])
    """

    def __init__(self, out: str | Path, fingerprint: Mapping[str, object], *, restart: bool = False) -> None:
        """Open the journal of an output, or start one.

        Args:
            out: the output file of the run; it need not exist.
            fingerprint: everything that can change a result (input, reward, options): JSON-compatible.
            restart: discard earlier progress.

        Raises:
            InputError: another run holds it; it holds rows of a run with another fingerprint; it is not a journal
                (which `restart` does not discard either), but a link or another file; or it cannot be written.
        """
        out = Path(out)
        self.path = out.with_name(f".{out.name}.progress")
        self.done = 0
        self._fingerprint: dict[str, object] = json.loads(json.dumps(fingerprint))
        self._file = _open_locked(self.path, out)
        try:
            if not self._resume(restart=restart):
                self._begin()
        except BaseException:
            self._file.close()
            raise

    def append(self, results: Iterable[object]) -> None:
        """Add the results of the next rows, and return when they are on the disk.

        Args:
            results: one JSON-compatible value a row; floats come back exactly.
        """
        lines = [json.dumps(result) + "\n" for result in results]
        self._write("".join(lines))
        self.done += len(lines)

    def results(self) -> Iterator[list[Any]]:
        """Iterate over the results of the finished rows, in order."""
        with self.path.open("rb") as file:
            if not os.path.samestat(os.fstat(file.fileno()), os.fstat(self._file.fileno())):
                raise InputError(f"{self.path}: was replaced while it was in use; leave it alone, and start again")
            file.readline()
            for _ in range(self.done):
                yield json.loads(file.readline())

    def finish(self) -> None:
        """Delete the file. Call it once the output is in its place."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file; it stays for a later run if it holds a finished row."""
        if not self._file.closed and not self.done and _same(self._file, self.path):
            self.path.unlink(missing_ok=True)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._write(f'{_START}"fingerprint": {json.dumps(self._fingerprint)}}}\n')

    def _resume(self, *, restart: bool) -> bool:
        """Count the whole lines and cut off the rest; return False if there is nothing to resume."""
        self._file.seek(0)
        header = self._file.readline()
        start = (_OURS if restart else _START).encode()
        if not header.startswith(start) and not (start.startswith(header) and not header.endswith(b"\n")):
            raise InputError(f"{self.path}: is not a progress file this version can read; move or delete it")
        if restart or not header.endswith(b"\n"):
            return False
        good, done = self._file.tell(), 0
        for line in self._file:
            if not _whole(line):
                break
            good += len(line)
            done += 1
        if not done:
            return False
        try:
            before = json.loads(header)["fingerprint"]
        except (ValueError, KeyError):
            raise InputError(f"{self.path}: its first line is corrupt; delete the file, or pass --restart") from None
        self._compare(before)
        self.done = done
        self._file.seek(good)
        self._file.truncate()
        return True

    def _compare(self, before: Mapping[str, object]) -> None:
        now = self._fingerprint
        changed = [
            f"{key} (was {shorten(before.get(key))}, is {shorten(now.get(key))})"
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        ]
        if changed:
            raise InputError(
                f"{self.path}: holds the progress of another run; they differ in {'; '.join(changed)}. "
                "Pass --restart (or delete the file) to start over, or give another output"
            )

    def _write(self, text: str) -> None:
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())


def _whole(line: bytes) -> bool:
    # After a power cut the end of the file may be anything, line break or not.
    if not line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _open_locked(path: Path, out: Path) -> IO[bytes]:
    """Open for reading and appending, and take the lock."""
    while True:
        try:
            file = open_own(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; choose another output") from error
        try:
            _lock(file)
        except BlockingIOError:
            file.close()
            raise InputError(f"{out}: another run is writing it; wait for that, or give another output") from None
        if _same(file, path):
            return file
        file.close()  # the run that held it finished and deleted it in between


def _lock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return  # a file system without locks


def _same(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
