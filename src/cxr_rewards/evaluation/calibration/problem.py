"""The parts of a reward for rated candidates: scored now, or taken from a file of scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxr_rewards.errors import ConfigError, InputError, shorten, unknown_name
from cxr_rewards.evaluation.calibration.fit import Problem
from cxr_rewards.evaluation.calibration.ratings import Ratings, count_unrated
from cxr_rewards.evaluation.scores import load_scores
from cxr_rewards.reward.base import BaseReward
from cxr_rewards.reward.weighted_sum import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


SAME = "the same for all candidates"
"""Reason to keep a weight of which the data say nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Roles:
    """Parts of a reward by what happens to their weights.

    Attributes:
        fitted: get new weights.
        kept: keep theirs, by the reason.
    """

    fitted: tuple[str, ...]
    kept: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A problem with what was left out of it.

    Attributes:
        problem: to be fitted.
        ratings: of the candidates of the problem.
        roles: of the parts.
        signs: (k,): 1 for a fitted part whose weight is positive, -1 for a penalty.
        left_out: candidates by the reason.
    """

    problem: Problem
    ratings: Ratings
    roles: Roles
    signs: Numbers
    left_out: Mapping[str, int]


def assign_roles(reward: BaseReward, fit: Collection[str], *, free_guards: bool) -> Roles:
    """Return which parts are fitted: those of positive direction with a weight, unless `fit` names others.

    Raises:
        ConfigError: an unknown label.
    """
    terms = reward.total.terms
    for label in fit:
        if label not in terms:
            raise ConfigError(unknown_name("fit", "component", label, terms))
    gated = {gate.component for gate in reward.total.gates}
    fitted, kept = [], {}
    for label, term in terms.items():
        is_fitted = label in fit if fit else term.side > 0
        if is_fitted or (free_guards and term.side < 0):
            fitted.append(label)
        elif term.side < 0:
            kept[label] = "guard"
        elif term.weight:
            kept[label] = "not among those to fit"
        elif label in gated:
            kept[label] = "feeds a gate"
        else:
            kept[label] = "only reported"
    return Roles(fitted=tuple(fitted), kept=kept)


def prepare(
    ratings: Ratings,
    reward: BaseReward,
    *,
    fit: Collection[str] = (),
    free_guards: bool = False,
    scores: str | Path | None = None,
) -> Prepared:
    """Score the candidates, and return what is to be fitted.

    Args:
        ratings: of the candidates.
        reward: whose parts get weights.
        fit: labels of the parts to fit.
        free_guards: fit penalties, too.
        scores: a file of scores of the file of ratings, row by row, instead of scoring.

    Raises:
        ConfigError: nothing to fit, or a reward that normalises within groups.
        InputError: no candidate is rated and scored, or the scores are those of another file.
    """
    if reward.total.normalize != "none":
        raise ConfigError(f"{reward.name}: normalize = 'group' makes rewards depend on the group; calibrate without it")
    roles = assign_roles(reward, fit, free_guards=free_guards)
    terms = reward.total.terms
    gated = {gate.component for gate in reward.total.gates}
    needed = [label for label, term in terms.items() if label in roles.fitted or term.weight or label in gated]
    found, reasons = _from_file(ratings, reward, needed, scores) if scores else _score(ratings, reward, needed)
    scored = np.isfinite(np.stack([found[label] for label in needed], axis=1)).all(axis=1)
    rated = _rated(ratings)
    kept = np.flatnonzero(scored & rated)
    left_out = Counter({reason: n for reason, n in count_unrated(ratings).items() if n})
    left_out.update(Counter(reasons[i] for i in np.flatnonzero(rated & ~scored)))
    if not len(kept):
        why = "; ".join(f"{reason}: {n}" for reason, n in left_out.most_common(3))
        raise InputError(f"{ratings.path}: none of the {len(ratings.cases):,} candidates is rated and scored ({why})")
    ratings = ratings.take(kept.tolist())
    values = {label: found[label][kept] for label in needed}
    transformed = {label: _transform(terms[label], values[label]) for label in needed}
    constant = {label for label in roles.fitted if np.ptp(transformed[label]) == 0}
    roles = Roles(
        fitted=tuple(label for label in roles.fitted if label not in constant),
        kept={**roles.kept, **dict.fromkeys(sorted(constant), SAME)},
    )
    if len(roles.fitted) < 2:
        why = "; ".join(f"{label}: {reason}" for label, reason in roles.kept.items())
        raise ConfigError(
            f"{reward.name}: {len(roles.fitted)} component to fit, {', '.join(roles.fitted) or 'none'}, and only the "
            f"proportions of two or more can be fitted ({why}); name some with --fit, or --free-guards"
        )
    signs = np.array([_sign(terms[label], reward.components[label].higher_is_better) for label in roles.fitted])
    parts = np.stack([transformed[label] for label in roles.fitted], axis=1) * signs
    fixed = np.zeros(len(kept))
    for label in needed:
        if label not in roles.fitted:
            fixed += terms[label].weight * transformed[label]
    caps = np.full(len(kept), np.inf)
    for gate in reward.total.gates:
        closed = np.array([gate.closes(value) for value in values[gate.component].tolist()], dtype=bool)
        caps[closed] = np.minimum(caps[closed], gate.cap)
    start = np.array([abs(terms[label].weight) for label in roles.fitted])
    summed = (signs > 0).astype(np.float64)
    if not summed.any():
        summed[:] = 1.0
    if not start @ summed:
        start = np.where(summed > 0, 1 / summed.sum(), start)
    problem = Problem(
        labels=roles.fitted,
        parts=parts,
        fixed=fixed,
        caps=caps,
        start=start,
        summed=summed,
        judged=ratings.judgments(),
        codes=ratings.codes,
    )
    return Prepared(problem=problem, ratings=ratings, roles=roles, signs=signs, left_out=dict(left_out.most_common()))


def _rated(ratings: Ratings) -> NDArray[np.bool_]:
    if ratings.values is not None:
        counts = np.isfinite(ratings.values).sum(axis=1)
        return np.array(counts > 0, dtype=bool)
    rated = np.zeros(len(ratings.cases), dtype=bool)
    rated[ratings.pairs.ravel()] = True
    return rated


def _score(ratings: Ratings, reward: BaseReward, needed: Sequence[str]) -> tuple[dict[str, Numbers], list[str]]:
    """Return the scores of the candidates by label, and why each is unscored."""
    labels = list(reward.components)
    rows = reward.parts(list(ratings.cases))
    found: dict[str, Numbers] = {}
    reasons = ["" for _ in rows]
    for label in needed:
        at = labels.index(label)
        found[label] = np.array([np.nan if row[at].value is None else row[at].value for row in rows], dtype=np.float64)
        for i, row in enumerate(rows):
            failure = row[at].failure
            if failure is not None and not reasons[i]:
                reasons[i] = f"not scored: {failure.kind} ({failure.where})"
    return found, reasons


def _from_file(
    ratings: Ratings, reward: BaseReward, needed: Sequence[str], path: str | Path
) -> tuple[dict[str, Numbers], list[str]]:
    """Return the scores that a file has for the rows of the candidates."""
    if ratings.values is None:
        raise ConfigError(
            f"{path}: a row of preferences holds two candidates, so a file of scores cannot stand beside it; leave "
            "--scores out"
        )
    scores = load_scores(path, on="", metrics=needed)
    if len(scores.ids) != ratings.rows:
        raise InputError(
            f"{path}: has {len(scores.ids):,} rows, and {ratings.path} {ratings.rows:,}; give the scores of that file"
        )
    for label in needed:
        signature, ours = scores.metrics[label].signature, reward.components[label].signature
        if signature and signature != ours:
            raise InputError(
                f"{path}: {label} was computed otherwise than in {reward.name}: {shorten(signature)}, not "
                f"{shorten(ours)}; score the file again with that reward"
            )
    places = list(ratings.first_row)
    if scores.candidate_column and any(case.candidate for case in ratings.cases):
        texts = scores.column(scores.candidate_column)
        for place, case in zip(places, ratings.cases, strict=True):
            if case.candidate and texts[place] != case.candidate.strip():
                raise InputError(
                    f"{path}: row {place + 1}, column {scores.candidate_column!r}: another report than in "
                    f"{ratings.path}; give the scores of that file"
                )
    return {label: scores.values[label][places] for label in needed}, ["not scored in the file"] * len(places)


def _transform(term: Term, values: Numbers) -> Numbers:
    return np.array([term(value) for value in values.tolist()], dtype=np.float64)


def _sign(term: Term, higher_is_better: bool) -> float:
    """Return the sign of a weight that makes the reward rise with quality: 1 for a metric, -1 for a penalty."""
    rising = Term(weight=1.0, transforms=term.transforms).sign == (1 if higher_is_better else -1)
    return 1.0 if rising else -1.0
