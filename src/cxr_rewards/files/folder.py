"""A folder of tables, the folder of their scores, and a record of finished files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cxr_rewards.errors import InputError
from cxr_rewards.files.formats import FORMATS, is_table, looks_like_json_table
from cxr_rewards.files.own_files import read_own, replace_own
from cxr_rewards.files.provenance import SUFFIX

_RECORD = "cxr_rewards_folder"


class FolderFile(NamedTuple):
    """A file of the folder, the target of its scores, and whether they are finished."""

    source: Path
    target: Path
    finished: bool


class Folder:
    """The tables of a folder, and a record of their scores.

    The record, `.run.json` in the folder of scores, holds the reward and settings of the run and the SHA-256 of each
    finished input. So scores of two rewards are never mixed, and a file that was only touched is not scored again. The
    record is written when a file is finished; a run that could not start leaves none.

    Attributes:
        files: the tables, by name.
        left_out: the reason by name for everything else in the folder.
    """

    def __init__(self, source: Path, out: Path, run: Mapping[str, object], *, restart: bool = False) -> None:
        """Look through both folders, and create the folder of scores.

        Args:
            source: the folder of tables; its subfolders are left out.
            out: the folder of scores.
            run: everything that can change a score, JSON-compatible.
            restart: score finished files again.

        Raises:
            InputError: there is no table; two would go to one output; the output is the same folder, or not a folder;
                or it holds scores of another run.
        """
        if out.exists() and not out.is_dir():
            raise InputError(f"{out}: {source} is a folder, so this must be one")
        if out.exists() and out.samefile(source):
            raise InputError(f"{out}: is the folder of the input; give another folder for the scores")
        tables, self.left_out = _look_through(source)
        if not tables:
            raise InputError(f"{source}: holds no {', '.join(FORMATS)} file")
        _check_distinct(tables, out)
        out.mkdir(parents=True, exist_ok=True)
        self._path, self._run = out / ".run.json", json.loads(json.dumps(dict(run), default=str))
        self._finished = {} if restart else self._read()
        if restart:
            self._parse()  # raises if it is another program's file, which is never replaced
        self.files = [self._file(table, out / table.name) for table in tables]

    def finish(self, file: FolderFile, sha256: str) -> None:
        """Record that the scores of a file are in place.

        Args:
            file: of `files`.
            sha256: of the input that was scored.
        """
        self._finished[file.source.name] = sha256
        record = {_RECORD: 1, "run": self._run, "finished": self._finished}
        replace_own(self._path, json.dumps(record, indent=1).encode())

    def _file(self, source: Path, target: Path) -> FolderFile:
        known = self._finished.get(source.name)
        return FolderFile(source, target, known is not None and target.is_file() and _sha256(source) == known)

    def _read(self) -> dict[str, str]:
        before, finished = self._parse()
        changed = [key for key in {**before, **self._run} if before.get(key) != self._run.get(key)]
        if finished and changed:
            raise InputError(
                f"{self._path.parent}: holds scores of another reward, or with other settings ({', '.join(changed)}); "
                "give another folder, or --restart"
            )
        return finished

    def _parse(self) -> tuple[dict[str, object], dict[str, str]]:
        """Return the settings of the run before, and the checksums of the files that it finished, by name."""
        content = read_own(self._path)
        if content is None:
            return {}, {}
        try:
            record = json.loads(content)
            if record[_RECORD] == 1 and isinstance(record["run"], dict) and isinstance(record["finished"], dict):
                return record["run"], record["finished"]
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise InputError(f"{self._path}: is not a record this version can read; move or delete it")


def _look_through(source: Path) -> tuple[list[Path], dict[str, str]]:
    tables, left_out = [], {}
    for path in sorted(source.iterdir()):
        if path.is_dir():
            left_out[path.name] = "a folder"
        elif path.name.startswith((".", "~$")):  # the latter: a file that Excel has open
            left_out[path.name] = "hidden"
        elif path.name.endswith(SUFFIX):
            left_out[path.name] = "the record of a file of scores"
        elif not is_table(path):
            left_out[path.name] = f"not a {', '.join(FORMATS)} file"
        elif not path.is_file():
            left_out[path.name] = "not a regular file"
        elif path.suffix.lower() == ".json" and not _holds_rows(path):
            left_out[path.name] = "JSON, but neither a list of objects nor objects by their ids"
        else:
            tables.append(path)
    return tables, left_out


def _holds_rows(path: Path) -> bool:
    with path.open("rb") as file:
        return looks_like_json_table(file.read(100_000))


def _check_distinct(tables: list[Path], out: Path) -> None:
    """Raise if two outputs are one file: by a link, or by names that differ only in case (macOS, Windows)."""
    seen: dict[str, str] = {}
    for table in tables:
        target = os.path.realpath(out / table.name)
        other = seen.setdefault(target.casefold(), table.name)
        if other != table.name:
            raise InputError(
                f"{table.parent}: the scores of {other!r} and {table.name!r} would go to one file, {target!r} "
                "(upper and lower case may be the same); rename one, or give another folder for the scores"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
