"""What every benchmark does with its result."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def options_of(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    return parser


def report(result: Any, path: Path | None) -> None:
    """Print the result as JSON, and write it where `--json` says."""
    text = json.dumps(result, indent=2)
    print(text)
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")
