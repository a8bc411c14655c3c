"""Files of which each process of a distributed run writes its own."""

from __future__ import annotations

import os
from pathlib import Path


def own_file(path: Path) -> Path:
    """Return the path of this process's file: another name if `RANK`, as torchrun and accelerate set it, is not 0.

    Example:
        >>> import os
        >>> os.environ["RANK"] = "1"
        >>> own_file(Path("runs/diagnostics.jsonl")).name
        'diagnostics.rank1.jsonl'
        >>> del os.environ["RANK"]
    """
    rank = os.environ.get("RANK", "0")
    return path if rank == "0" else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")
