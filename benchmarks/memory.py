"""Peak memory and speed of `cxr-rewards score` on files of different lengths.

Run: `python benchmarks/memory.py [--rows 10000 1000000] [--json FILE]`. The files are made on the spot: short distinct
reports and a note of 300 characters. Peak memory is the process's resident set as Linux tells it (VmHWM).
"""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import options_of, report

CODE = """
import sys
from cxr_rewards.cli.app import app
app(["score", sys.argv[1], "-o", sys.argv[2]], standalone_mode=False)
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def measure(rows: int, folder: Path) -> dict[str, float]:
    """Score a CSV of so many rows in a process of its own."""
    source = folder / "in.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "candidate", "reference", "note"])
        writer.writerows(
            [i, f"Small left effusion. Study {i}.", f"Left effusion. Study {i}.", "x" * 300] for i in range(rows)
        )
    start = time.perf_counter()
    command = [sys.executable, "-c", CODE, str(source), str(folder / "out.csv")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    peak_kb = int(done.stdout.split()[-1])
    return {"rows": rows, "peak_mb": round(peak_kb / 1000, 1), "rows_per_s_in_all": round(rows / seconds)}


def main() -> None:
    """Measure each length."""
    parser = options_of(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    results = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(rows, Path(folder)))
    report(results, options.json)


if __name__ == "__main__":
    main()
