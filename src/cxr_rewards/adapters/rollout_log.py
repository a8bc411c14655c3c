"""Every rollout of a run with its rewards, in a file that `cxr-rewards score`, pandas and polars read."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import IO

from cxr_rewards.adapters.diagnostics.parts import group_of
from cxr_rewards.adapters.own_file import own_file
from cxr_rewards.errors import ConfigError, shorten
from cxr_rewards.types import Case, Reward

_LONGEST_NAME = 64


class RolloutLog:
    """Writes a line of JSON for each rollout.

    A line holds `step`, `group` (the study, or a hash if none was named), `candidate`, `reference_id` (a hash),
    `reference`, `priors`, the components, `reward`, `reason` and `reason_kind`. When a file is full, `name.2.jsonl` is
    begun, then `name.3.jsonl`; beyond `files` the oldest but the first is deleted, so that the start of the run stays.

    Args:
        path: the file. A process with `RANK` 1 or more, as torchrun and accelerate set it, writes its own, such as
            `name.rank1.jsonl`.
        every: write each so many steps: 10 writes the first, the eleventh, ...
        max_mb: size at which a file is full, in MB.
        files: how many files are kept, at least 2; 0: all.

    Raises:
        ConfigError: the file cannot be written, or a number is out of its range.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> from cxr_rewards import Case, CompositeReward
        >>> reward, cases = CompositeReward(["bleu"]), [Case(candidate="Effusion.", reference="Effusion.", group="s1")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     RolloutLog(Path(folder) / "rollouts.jsonl").add(cases, reward.score_batch(cases), step=3)
        ...     row = json.loads((Path(folder) / "rollouts.jsonl").read_text())
        >>> row["step"], row["group"], row["candidate"], row["bleu"], row["reward"]
        (3, 's1', 'Effusion.', 1.0, 1.0)
    """

    def __init__(self, path: str | Path, *, every: int = 1, max_mb: float = 200.0, files: int = 10) -> None:
        if every < 1:
            raise ConfigError(f"RolloutLog: every must be at least 1, got {every!r}")
        if not max_mb > 0:
            raise ConfigError(f"RolloutLog: max_mb must be more than 0, got {max_mb!r}")
        if files < 0 or files == 1:
            raise ConfigError(f"RolloutLog: files must be 0 (all) or at least 2, got {files!r}")
        self._asked, self.every, self.max_mb, self.files = Path(path), every, max_mb, files
        self.path = own_file(self._asked)
        self._steps, self._last_step = 0, object()
        self._ended = False
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise ConfigError(f"{self.path}: rollouts cannot be written: {error}") from error

    def __reduce__(self) -> tuple[object, ...]:
        return type(self)._again, (self._asked, self.every, self.max_mb, self.files)

    @classmethod
    def _again(cls, path: Path, every: int, max_mb: float, files: int) -> RolloutLog:
        return cls(path, every=every, max_mb=max_mb, files=files)

    def add(self, cases: Sequence[Case], rewards: Sequence[Reward], *, step: int | None = None) -> None:
        """Write the rollouts of a step; a full disk ends the file, not the training.

        Args:
            cases: the rollouts.
            rewards: their rewards, in order.
            step: the trainer's number of the step; else calls are counted.
        """
        with self._lock:
            if step is None or step != self._last_step:
                self._steps += 1
            self._last_step = step
            if self._ended or (self._steps - 1) % self.every:
                return
            number = self._steps if step is None else step
            lines = "".join(_line(number, *pair) for pair in zip(cases, rewards, strict=True))
            try:
                with self._open() as file:
                    file.write(lines)
            except OSError as error:
                warnings.warn(f"{self.path}: rollouts are no longer written: {error}", stacklevel=4)
                self._ended = True

    def _open(self) -> IO[str]:
        numbers = self.numbers()
        newest = self._file(numbers[-1])
        if newest.exists() and newest.stat().st_size >= self.max_mb * 1e6:
            numbers.append(numbers[-1] + 1)
            for number in numbers[1 : -(self.files - 1)] if self.files else ():
                self._file(number).unlink(missing_ok=True)
        return self._file(numbers[-1]).open("a", encoding="utf-8")

    def numbers(self) -> list[int]:
        """Return the numbers of the files that are there, 1 always."""
        stem, suffix = self.path.stem, self.path.suffix
        parts = (
            path.name[len(stem) + 1 : -len(suffix) or None]
            for path in self.path.parent.glob(f"{escape(stem)}.*{suffix}")
        )
        return [1, *sorted(int(part) for part in parts if part.isdecimal() and int(part) > 1)]

    def _file(self, number: int) -> Path:
        return self.path if number == 1 else self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}")


def _line(step: int, case: Case, reward: Reward) -> str:
    group = group_of(case)
    row = {
        "step": step,
        "group": group if len(group) <= _LONGEST_NAME else _hash(group),
        "candidate": _text(case.candidate),
        "reference_id": _hash(case.reference),
        "reference": _text(case.reference),
        "priors": [_text(prior) for prior in case.priors] if isinstance(case.priors, tuple) else [],
        **reward.to_dict(),
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _text(text: object) -> str | None:
    """Return a text that can be written; None if it is none."""
    return text.encode(errors="replace").decode() if isinstance(text, str) else None


def _hash(text: object) -> str:
    plain = text if isinstance(text, str) else shorten(text)
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()[:12]
