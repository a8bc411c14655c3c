"""Prompts of published judges on this machine: added from a user's checkout, or in an installed package.

None of them is part of this library. `add` copies the files that hold a prompt, as they are, into a folder of the user;
they are read as data and never run. CRIMSON's prompt is built by a function, which is taken from the installed package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards.core.registry import load_component
from cxr_rewards.errors import ConfigError, MissingDependencyError, unknown_name
from cxr_rewards.judges.prompt import Messages

FOLDER_VARIABLE = "CXR_REWARDS_PROMPTS"
"""Environment variable that names the folder of prompts."""


class Published(NamedTuple):
    r"""Where the prompt of a published judge lies.

    Attributes:
        source: its repository and licence.
        files: the files that hold it, by the name they have here, each with names that its path must contain.
        known: what each file with this sha256 is; line ends count as `\n`.
        package: the package that holds the files, so that nothing has to be added.
        optional: files that may be missing, by name, each with a text that it contains.
    """

    source: str
    files: Mapping[str, tuple[str, ...]]
    known: Mapping[str, str]
    package: str = ""
    optional: Mapping[str, str] = {}


PUBLISHED = {
    "chexprompt": Published(
        "microsoft/chexprompt, MIT",
        {"evaluator.py": ("evaluator.py",)},
        {"af2f6f9145286ad75b89e9bc267a558fa4e5170d4f7b8c8b9d2ef0c4a0ab8b1c": "commit 8cfddec"},
    ),
    "crimson": Published(
        "rajpurkarlab/CRIMSON, MIT",
        {"prompt_parts.py": ("CRIMSON", "prompt_parts.py"), "generate_score.py": ("CRIMSON", "generate_score.py")},
        {
            "e97fe82d4fbb097c1c37bf0d7e96c0551f80b30e5ebf5cf5107c0502527c5a3e": "commit 07e3331, release 0.2.0",
            "58f32bab75e3915bac97e4e273d2da920de2dcd6399d67c56d01630e15e54b97": "release 0.2.0",
        },
        package="crimson-score",
    ),
    "green": Published(
        "Stanford-AIMI/GREEN, no licence stated",
        {"utils.py": ("green_score", "utils.py")},
        {"285e076c8707dc5d506497b922d44e73458e0a88de69bfc73ee07a37e9fd1062": "commit d72c195"},
    ),
    "radfact": Published(
        "microsoft/RadFact, MIT",
        {
            "phrases_system.txt": ("report_to_phrases", "system_message.txt"),
            "phrases_examples.json": ("report_to_phrases", "few_shot_examples.json"),
            "entailment_system.txt": ("nli", "system_message_ev_singlephrase.txt"),
            "entailment_examples.json": ("nli", "few_shot_examples.json"),
        },
        {
            "a5e18716a19b67ebd2d8a075fad1c84e79023f8ec06d7ae0221a6dc5bc20de62": "commit 72463ac",
            "0dfa39738488358d08330f128c06277cf074cc60d8d023bb42c345542b60eac1": "commit 72463ac",
            "53ebe0fb1c0172f1f1797b7f8bbe790d985c85d48e23f08c88687a9f09acf7c8": "commit 72463ac",
            "6ed5f4db22ac6d8cd9a93c53c73a1bb3559d53966fba1febcf30fb217655110f": "commit 72463ac",
        },
        optional={"formatter.py": "def simple_formatter("},
    ),
}
"""The published judges, by name; the component `NAME_official` asks with each one's prompt."""


class PromptFiles(NamedTuple):
    """The texts of the files that hold a prompt, by name."""

    name: str
    texts: tuple[tuple[str, str], ...]

    def text(self, name: str) -> str:
        """Return the text of a file; empty if there is none."""
        return dict(self.texts).get(name, "")

    @property
    def sha256(self) -> dict[str, str]:
        """Hash of each text."""
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in self.texts}

    @property
    def digest(self) -> str:
        """Hexadecimal digits for signatures: those of the file's hash if there is one file."""
        hashes = list(self.sha256.values())
        return (hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest())[:12]

    def known_as(self) -> dict[str, str]:
        """Return which published version each file is; empty if it is none that is known."""
        known = PUBLISHED[self.name].known
        return {name: known.get(sha256, "") for name, sha256 in self.sha256.items()}


def prompts_folder() -> Path:
    """Return the folder of prompts: `$CXR_REWARDS_PROMPTS`, else `cxr_rewards/prompts` in the user's data folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "cxr_rewards" / "prompts"


def published(name: str) -> Published:
    """Return where the prompt of a judge lies.

    Raises:
        ConfigError: there is no such judge.
    """
    if name not in PUBLISHED:
        raise ConfigError(unknown_name("prompts", "judge", name, PUBLISHED))
    return PUBLISHED[name]


def place_of(name: str) -> Path:
    """Return the folder in which the files of a prompt lie, or would lie.

    Raises:
        MissingDependencyError: the package that holds them is not installed.
    """
    package = published(name).package
    if not package:
        return prompts_folder() / name
    try:
        # Of an installed package, never of a folder of this name that Python would import.
        return Path(str(distribution(package).locate_file(name.upper())))
    except PackageNotFoundError:
        raise MissingDependencyError(
            f'{name}: its prompt comes with {package}: pip install "cxr_rewards[{name}]"'
        ) from None


def load(name: str) -> PromptFiles:
    """Return the files of a prompt.

    Raises:
        ConfigError: a file cannot be read.
        MissingDependencyError: the prompt is not on this machine; the message says how to add it.
    """
    about, place = published(name), place_of(name)
    missing = [file for file in about.files if not (place / file).is_file()]
    if missing:
        cure = f"reinstall {about.package}" if about.package else f"cxr-rewards prompts add {name} CHECKOUT"
        raise MissingDependencyError(
            f"{name}: its prompt is not on this machine ({place} lacks {', '.join(missing)}). It is read from "
            f"{about.source}: {cure}"
        )
    paths = [place / file for file in (*about.files, *about.optional) if (place / file).is_file()]
    return _read(name, tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths))


@lru_cache(maxsize=32)
def _read(name: str, paths: tuple[tuple[str, int, int], ...]) -> PromptFiles:
    return PromptFiles(name, tuple((Path(path).name, _text(Path(path))) for path, _, _ in paths))


def _text(path: Path) -> str:
    r"""Return a file's text; its line ends become `\n`, as Python reads them."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def add(name: str, path: Path) -> PromptFiles:
    """Copy the files of a prompt from a checkout into the folder of prompts, in place of earlier ones.

    Args:
        name: of `PUBLISHED`.
        path: the checkout, a folder in it that holds the files, or the only file.

    Raises:
        ConfigError: the files are not there, or the judge cannot use them; earlier ones stay.
    """
    about = published(name)
    if about.package:
        raise ConfigError(f'{name}: its prompt comes with {about.package}: pip install "cxr_rewards[{name}]"')
    path = path.expanduser()
    found = {file: _find(name, path, parts) for file, parts in about.files.items()}
    found |= {file: source for file, text in about.optional.items() if (source := _containing(path, text))}
    prompts_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=prompts_folder(), prefix=f".{name}-") as folder:
        for file, source in found.items():
            shutil.copyfile(source, Path(folder) / file)
        files = PromptFiles(name, tuple((file, _text(Path(folder) / file)) for file in found))
        sample(files)  # raises if they do not hold it
        place = prompts_folder() / name
        place.mkdir(exist_ok=True)
        for file in about.optional:
            (place / file).unlink(missing_ok=True)
        for file in found:
            os.replace(Path(folder) / file, place / file)
    return files


def sample(files: PromptFiles) -> dict[str, Messages]:
    """Return the messages of each kind of request, with words of a template in place of the reports.

    Raises:
        ConfigError: the files do not hold the prompt.
    """
    judge: Any = load_component(f"{files.name}_official")
    messages: dict[str, Messages] = judge.sample(files)
    return messages


def _find(name: str, path: Path, parts: tuple[str, ...]) -> Path:
    """Return the file of a checkout whose path contains names, the last of them its own."""
    if path.is_file():
        files = [path] if len(published(name).files) == 1 else []
    else:
        at = len(path.parts) - 1  # the folder that the user names counts too
        files = [file for file in sorted(path.rglob(parts[-1])) if set(parts) <= set(file.parts[at:])]
        files = files or [file for file in (path / parts[-1],) if len(published(name).files) == 1 and file.is_file()]
    as_published = [file for file in files if hashlib.sha256(_bytes(file)).hexdigest() in published(name).known]
    files = as_published[:1] or files
    if len(files) != 1:
        found = "; ".join(map(str, files)) or "none"
        raise ConfigError(
            f"{name}: expected one {'/'.join(parts)} in {path}, a checkout of {published(name).source}; found {found}"
        )
    return files[0]


def _bytes(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n")


def _containing(path: Path, text: str) -> Path | None:
    """Return the first Python file of a checkout that contains a text."""
    files: Iterator[Path] = iter(sorted(path.rglob("*.py"))) if path.is_dir() else iter(())
    return next((file for file in files if text in file.read_text(encoding="utf-8", errors="replace")), None)
