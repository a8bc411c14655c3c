"""Ray actors against this process, on the same cases.

Run: `python benchmarks/ray_pool.py [--data reports.csv] [--actors 2] [--json FILE]`. The data is a CSV with columns
`findings` and `impression`; without it the sample reports of `examples/` are used. Rates are cases a second of
`score_batch` on 16,384 new candidates, for the preset `rules`, and for the component `length` alone, which costs
next to nothing: what is left is the way there and back.
"""

from __future__ import annotations

import time
from pathlib import Path

from cxr_rewards import Case, CompositeReward
from cxr_rewards.remote import RayReward
from report import options_of, report
from server import groups

CASES = 16_384


def rate(reward: CompositeReward, data: Path | None) -> int:
    """Return cases a second."""
    source = groups(data, 16)
    cases = [Case(**case) for _ in range(CASES // 16) for case in next(source)]
    reward.score_batch(cases[:512])
    begin = time.perf_counter()
    reward.score_batch(cases[512:])
    return round((CASES - 512) / (time.perf_counter() - begin))


def main() -> None:
    """Measure and report."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--actors", type=int, default=2)
    options = parser.parse_args()
    result: dict[str, dict[str, int]] = {}
    for name, reward in (("rules", CompositeReward()), ("length", CompositeReward(["length"]))):
        found = result[name] = {"local": rate(reward, options.data)}
        for actors in sorted({1, options.actors}):
            pool = RayReward(reward, actors=actors)
            found[f"{actors} actors"] = max(rate(pool, options.data) for _ in range(2))
            pool.close()
    report(result, options.json)


if __name__ == "__main__":
    main()
