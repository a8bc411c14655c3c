"""How long a fresh interpreter takes to import the library, to show the CLI's help and to score a first pair.

Run: `python benchmarks/startup.py [--json FILE]`. Each figure is the median over fresh processes; `extra_ms` is what is
left after the median of an interpreter that does nothing, started in turns with it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from report import options_of, report

CLI = Path(sys.executable).with_name("cxr-rewards")
COMMANDS = {
    "nothing": [sys.executable, "-c", "pass"],
    "import cxr_rewards": [sys.executable, "-c", "import cxr_rewards"],
    "from cxr_rewards import CompositeReward": [sys.executable, "-c", "from cxr_rewards import CompositeReward"],
    "cxr-rewards --help": [str(CLI), "--help"],
    "first score": [
        sys.executable,
        "-c",
        "from cxr_rewards import CompositeReward; CompositeReward().score('Clear lungs.', 'Small left effusion.')",
    ],
}


def main() -> None:
    """Start each command in turns, many times."""
    parser = options_of(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.repeats):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["nothing"])
    result = {
        name: {"ms": round(1000 * statistics.median(s)), "extra_ms": round(1000 * (statistics.median(s) - base))}
        for name, s in seconds.items()
    }
    report(result, options.json)


if __name__ == "__main__":
    main()
