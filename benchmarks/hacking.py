"""What a reward pays a policy that looks for holes in it.

Run: `python benchmarks/hacking.py --data reports.csv [--preset rules | --config mine.toml | --component NAME]
[--references 200] [--json FILE]`. The data are reports with the columns `findings` and `impression`, or `report`. What
is tried is in hacking.toml; the made-up reports there need no data.

- `guesses`: how often a guess must be true to pay (the share at which it breaks even), plain and qualified. A form that
  pays at a much lower share than the plain one is a hedge.
- `quiet`: mean reward by the worst significance that a reference's findings have, of texts that say the same whatever
  the image shows, of another study's report, and of honest policies: one sentence with an abnormal finding dropped; a
  share of these sentences kept, and others from other studies in place of the rest.
- `contradictions`: a finding stated, denied, omitted, both stated and denied.
- `appended`: mean cost of a text after a right report. `lost`: cost of denials of the reference that are lost.
- `copied`: the reference's words with one critical flip, against a correct paraphrase.
- `long`: cost of one urgent difference, alone and in a long report.
- `paraphrases`: cost of the same report in other words.
- `itself`: the reward of a report against itself, without priors and with an unrelated one.
- `holes`: what of this exceeds the bounds of `holes`, the function.

With `--component` that component is the reward, and lower counts as higher where lower is better.
"""

from __future__ import annotations

import csv
import hashlib
import random
import statistics
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxr_rewards import CompositeReward
from cxr_rewards.core.registry import component_names, load_component
from cxr_rewards.findings import merge, read, significance
from cxr_rewards.findings.pairing import kinship
from cxr_rewards.text.sentences import sentences
from cxr_rewards.text.tidy import tidy
from cxr_rewards.types import Case
from report import options_of, report

DATA = Path(__file__).with_suffix(".toml")
GROUPS = ("normal", "benign", "not_actionable", "actionable", "urgent")
SICK = ("actionable", "urgent")
Table = dict[str, Any]


def score_all(reward: CompositeReward, cases: Iterable[Case]) -> list[float]:
    """Return the rewards of cases that all must have one.

    Raises:
        ValueError: a case is unscored.
    """
    results = reward.score_batch(list(cases))
    for result in results:
        if result.value is None:
            raise ValueError(f"a case is unscored: {result.reasons}")
    return [result.value for result in results if result.value is not None]


def score(reward: CompositeReward, candidate: str, reference: str) -> float:
    """Return the reward of one pair of texts."""
    return score_all(reward, [Case(candidate=candidate, reference=reference)])[0]


def _joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)


# ---------------------------------------------------------------- made-up reports


def guesses(reward: CompositeReward, data: Mapping[str, Any]) -> Table:
    """Return, for each finding and form, the share of truth at which guessing breaks even; 1.0 if it never pays."""
    table: Table = {}
    for finding in data["findings"]:
        shares: Table = {}
        for form, guess in finding.items():
            gain = loss = 0.0
            for base in data["bases"]:
                with_it = _joined(base, finding["plain"])
                gain += score(reward, _joined(base, guess), with_it) - score(reward, base, with_it)
                loss += score(reward, base, base) - score(reward, _joined(base, guess), base)
            shares[form] = round(max(loss, 0.0) / (max(loss, 0.0) + gain), 3) if gain > 0 else 1.0
        table[finding["plain"]] = shares
    return table


def contradictions(reward: CompositeReward, entries: Sequence[Mapping[str, str]]) -> list[Table]:
    """Return the rewards of each finding stated, denied, omitted, and both stated and denied."""
    table = []
    for entry in entries:
        texts = {key: entry[key] for key in ("stated", "denied", "omitted")}
        texts["both"] = _joined(entry["stated"], entry["denied"])
        values = {key: round(score(reward, text, entry["reference"]), 3) for key, text in texts.items()}
        table.append({"kind": entry["kind"], "reference": entry["reference"], **values})
    return table


def appended(reward: CompositeReward, entries: Mapping[str, str], references: Sequence[str]) -> Table:
    """Return the mean cost of each text, appended to each of the references."""
    right = score_all(reward, (Case(candidate=text, reference=text) for text in references))
    costs = {}
    for kind, text in entries.items():
        cases = (Case(candidate=f"{reference} {text}", reference=reference) for reference in references)
        costs[kind] = round(statistics.mean(right) - statistics.mean(score_all(reward, cases)), 3)
    return costs


def costs(reward: CompositeReward, entries: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Return what each candidate loses against its reference, word for word."""
    return [
        {
            "reference": entry["reference"],
            "costs": {
                text: round(score(reward, entry["reference"], entry["reference"]) - value, 3)
                for text in entry["candidates"]
                for value in [score(reward, text, entry["reference"])]
            },
        }
        for entry in entries
    ]


def copied(reward: CompositeReward, entries: Sequence[Mapping[str, str]]) -> list[Table]:
    """Return the rewards of a copy with one critical flip and of a correct paraphrase."""
    return [
        {
            "kind": entry["kind"],
            "reference": entry["reference"],
            **{key: round(score(reward, entry[key], entry["reference"]), 3) for key in ("flipped", "paraphrase")},
        }
        for entry in entries
    ]


def long(reward: CompositeReward, data: Mapping[str, Any]) -> list[Table]:
    """Return what each difference costs alone (beside a normal statement) and in a long report."""
    table = []
    for entry in data["differences"]:
        costs = {}
        for length, around in (("short", "Mild cardiomegaly."), ("long", data["around"])):
            reference = _joined(around, entry["reference"])
            right = score(reward, reference, reference)
            costs[length] = round(right - score(reward, _joined(around, entry["candidate"]), reference), 3)
        table.append({"kind": entry["kind"], "reference": entry["reference"], **costs})
    return table


# ---------------------------------------------------------------- reports of a data set


class Reference(NamedTuple):
    """A report of the data: its worst significance, and its sentences with and without abnormal findings of weight."""

    text: str
    worst: str
    sentences: tuple[str, ...]
    abnormal: tuple[bool, ...]

    @property
    def abnormal_sentences(self) -> list[str]:
        """The sentences that state an abnormal finding which is not benign."""
        return [text for text, marked in zip(self.sentences, self.abnormal, strict=True) if marked]


def _worst(text: str) -> str:
    return max((significance(f) for f in merge(read(text)).abnormal), key=GROUPS.index, default="normal")


def parse(text: str) -> Reference | None:
    """Return a report cut into sentences; None if nothing can be read in it."""
    if not read(text):
        return None
    text = tidy(text)
    parts = tuple(text[start:end] for start, end in sentences(text, tidied=True))
    return Reference(text, _worst(text), parts, tuple(_worst(part) not in GROUPS[:2] for part in parts))


def load_texts(path: Path) -> list[str]:
    """Return the reports of a CSV file with the columns `findings` and `impression`, or `report`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [row.get("report") or _joined(row["findings"].strip(), row["impression"].strip()) for row in rows]
    return [text for text in texts if text.strip()]


def sample(texts: Iterable[str], most: int) -> dict[str, list[Reference]]:
    """Return at most `most` references of each group, chosen by a hash of the text."""
    groups: defaultdict[str, list[Reference]] = defaultdict(list)
    for text in sorted(set(texts), key=lambda text: hashlib.sha256(text.encode()).digest()):
        reference = parse(text)
        if reference is not None and len(groups[reference.worst]) < most:
            groups[reference.worst].append(reference)
    return {group: groups[group] for group in GROUPS if groups[group]}


def _observations(text: str) -> set[str]:
    return {finding.observation for finding in read(text) if finding.polarity != "absent"}


def half_true(reference: Reference, kept: float, others: Sequence[str], rng: random.Random) -> str:
    """Return the report with a share of its abnormal sentences kept, and false ones of `others` for the rest."""
    at = [i for i, marked in enumerate(reference.abnormal) if marked]
    lost = set(rng.sample(at, len(at) - round(kept * len(at) + rng.uniform(-0.01, 0.01))))
    own = _observations(reference.text)
    lines = []
    for i, text in enumerate(reference.sentences):
        if i not in lost:
            lines.append(text)
            continue
        for other in rng.sample(others, len(others)):
            if not any(kinship(a, b) or kinship(b, a) for a in own for b in _observations(other)):
                lines.append(other)
                break
    return " ".join(lines)


def without_one(reference: Reference, rng: random.Random) -> str:
    """Return the report without one of its abnormal sentences."""
    at = [i for i, marked in enumerate(reference.abnormal) if marked]
    drop = rng.choice(at)
    return " ".join(text for i, text in enumerate(reference.sentences) if i != drop)


def quiet(reward: CompositeReward, texts: Sequence[str], data: Mapping[str, Any], most: int) -> Table:
    """Return the mean reward of each policy, by the worst significance of the reference.

    References with fewer than two abnormal sentences are left out of the groups that have any: half of one sentence is
    none, and nothing is left of it if it is dropped.
    """
    groups = sample(texts, 3 * most)
    frequent = [text for text, _ in Counter(texts).most_common(3)]
    constants = {"(empty)": "", **{text: text for text in (*data["constants"], *frequent)}}
    pool = [text for references in groups.values() for one in references for text in one.abnormal_sentences]
    table: Table = {}
    for group, listed in groups.items():
        if group in GROUPS[2:]:
            listed = [one for one in listed if sum(one.abnormal) >= 2]
        listed = listed[:most]
        if not listed:
            continue
        rng = random.Random(group)
        policies = {name: [text] * len(listed) for name, text in constants.items()}
        honest = {"another study's report": [one.text for one in (*listed[1:], *listed[:1])]}
        if group in GROUPS[2:]:
            honest["one abnormal sentence dropped"] = [without_one(one, rng) for one in listed]
            for share in data["kept"]:
                name = f"{share:.0%} of abnormal sentences kept, the rest false"
                honest[name] = [half_true(one, share, pool, rng) for one in listed]
        means = {
            name: statistics.mean(
                score_all(
                    reward, (Case(candidate=c, reference=one.text) for c, one in zip(candidates, listed, strict=True))
                )
            )
            for name, candidates in {**policies, **honest}.items()
        }
        best = max(constants, key=lambda name: means[name])
        table[group] = {
            "references": len(listed),
            "best constant": best,
            "best constant's reward": round(means[best], 3),
            **{name: round(means[name], 3) for name in honest},
            "constants": {name: round(means[name], 3) for name in sorted(constants, key=lambda n: -means[n])},
        }
    return table


def itself(reward: CompositeReward, texts: Sequence[str]) -> Table:
    """Return how often a report gets less than 1 against itself, and the lowest reward."""
    table = {}
    for name, priors in (("without priors", ()), ("with an unrelated prior", ("The lungs are clear.",))):
        values = score_all(reward, (Case(candidate=text, reference=text, priors=priors) for text in texts))
        below = statistics.mean(value < reward.bounds[1] - 0.005 for value in values)
        table[name] = {"share below the best": round(below, 3), "lowest": round(min(values), 3)}
    return table


# ---------------------------------------------------------------- bounds


def holes(table: Mapping[str, Any]) -> list[str]:
    """Return what exceeds these bounds, in words.

    - A qualified guess pays at a share of truth at most 0.1 below that of the plain guess.
    - With a sick reference no constant text reaches half of a report with one abnormal sentence dropped, nor a report
      that is half right.
    - Stating and denying a finding earns no more than leaving it out, and a normal statement beside it costs 0.1.
    - Text that is no report costs at least 0.02, a lost denial 0.01.
    - A copy with a critical flip earns less than a paraphrase, and a paraphrase costs at most 0.05.
    - A difference in a long report costs at least half of what it costs in a short one.
    - A report against itself gets the best reward.
    """
    found = []
    for plain, shares in table["guesses"].items():
        found += [
            f"guesses: {plain} as {form} pays from {share:.0%}, plain from {shares['plain']:.0%}"
            for form, share in shares.items()
            if share < shares["plain"] - 0.1
        ]
    for group, means in table.get("quiet", {}).items():
        if group in SICK:
            best = means["best constant's reward"]
            half, dropped = (
                means["50% of abnormal sentences kept, the rest false"],
                means["one abnormal sentence dropped"],
            )
            if best >= dropped / 2:
                found.append(f"quiet: {group}: a constant gets {best}, one sentence dropped {dropped}")
            if best >= half:
                found.append(f"quiet: {group}: a constant gets {best}, a half right report {half}")
    for entry in table["contradictions"]:
        most = entry["omitted"] if entry["kind"] == "itself" else entry["stated"] - 0.1
        if entry["both"] > most:
            found.append(
                f"contradictions: {entry['reference']} stated and denied gets {entry['both']}, more than {most}"
            )
    found += [f"appended: {kind} costs {cost}" for kind, cost in table["appended"].items() if cost < 0.02]
    found += [
        f"lost: {text} costs {cost}" for entry in table["lost"] for text, cost in entry["costs"].items() if cost < 0.01
    ]
    found += [
        f"copied: {entry['reference']} flipped gets {entry['flipped']}, paraphrased {entry['paraphrase']}"
        for entry in table["copied"]
        if entry["flipped"] >= entry["paraphrase"]
    ]
    found += [
        f"long: {entry['kind']} costs {entry['short']} in a short report, {entry['long']} in a long one"
        for entry in table["long"]
        if entry["long"] < entry["short"] / 2
    ]
    found += [
        f"paraphrases: {text} costs {cost}"
        for entry in table["paraphrases"]
        for text, cost in entry["costs"].items()
        if abs(cost) > 0.05
    ]
    found += [
        f"itself: {name}: {entry['share below the best']:.1%} below the best, lowest {entry['lowest']}"
        for name, entry in table.get("itself", {}).items()
        if entry["share below the best"]
    ]
    return found


def measure(reward: CompositeReward, data: Mapping[str, Any], texts: Sequence[str] = (), most: int = 200) -> Table:
    """Return all tables; those that need reports of a data set only if `texts` are given."""
    own = [entry["reference"] for entry in (*data["lost"], *data["copied"], *data["paraphrases"])]
    table: Table = {
        "guesses": guesses(reward, data["guesses"]),
        "contradictions": contradictions(reward, data["contradictions"]),
        "appended": appended(reward, data["appended"], own),
        "lost": costs(reward, data["lost"]),
        "copied": copied(reward, data["copied"]),
        "long": long(reward, data["long"]),
        "paraphrases": costs(reward, data["paraphrases"]),
    }
    if texts:
        table["quiet"] = quiet(reward, texts, data["quiet"], most)
        table["itself"] = itself(reward, [one.text for group in sample(texts, most).values() for one in group])
    return {**table, "holes": holes(table)}


def load_data(path: Path = DATA) -> Table:
    """Return what is tried."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def main() -> None:
    """Measure one reward and print the tables."""
    parser = options_of(__doc__)
    parser.add_argument("--data", type=Path, help="CSV of reports; without it the tables of made-up reports alone")
    parser.add_argument("--references", type=int, default=200, help="references of each group")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", default="rules")
    which.add_argument("--config", type=Path, help="TOML of a reward")
    which.add_argument("--component", choices=component_names())
    options = parser.parse_args()
    if options.config:
        reward = CompositeReward.from_config(options.config)
    elif options.component:
        sign = 1.0 if load_component(options.component).higher_is_better else -1.0
        reward = CompositeReward([options.component], weights={options.component: sign})
    else:
        reward = CompositeReward.from_preset(options.preset)
    texts = load_texts(options.data) if options.data else []
    result = measure(reward, load_data(), texts, options.references)
    report(
        {"scored_by": str(options.config or options.component or f"preset {options.preset}"), **result}, options.json
    )


if __name__ == "__main__":
    main()
