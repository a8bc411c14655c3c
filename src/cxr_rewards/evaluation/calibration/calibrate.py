"""Fit the weights of a reward to radiologists, and say what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cxr_rewards.errors import ConfigError, InputError, shorten, unknown_name
from cxr_rewards.evaluation.calibration.agreement import RESAMPLES, Agreement, Compared, measure
from cxr_rewards.evaluation.calibration.fit import Problem, fit, needs_scipy
from cxr_rewards.evaluation.calibration.problem import SAME, Prepared, prepare
from cxr_rewards.evaluation.calibration.quiet import FEWEST, Quiet, check_quiet
from cxr_rewards.evaluation.calibration.ratings import Ratings, read_ratings
from cxr_rewards.evaluation.calibration.result import Calibration, Weight, main_figure
from cxr_rewards.evaluation.calibration.validation import PULLS, Choice, choose, nested
from cxr_rewards.evaluation.resampling import SEED, bootstrap, effective_clusters
from cxr_rewards.reward.composite import CompositeReward
from cxr_rewards.reward.config import (
    ComponentConfig,
    RewardConfig,
    is_config_path,
    load_config,
    override,
    parse_config,
    preset_names,
    preset_text,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

FEWEST_CASES = 20
"""Fewest cases: with ten folds, two in each."""

CASES_PER_WEIGHT = 5
"""Fewest cases for each weight that is fitted."""

FOLDS = 10
REPEATS = 5
INNER_FOLDS = 5
_DIGITS = 4

How = Literal["auto", "ridge", "pairwise"]


def calibrate(
    ratings: Ratings | str | Path,
    reward: str | Path | Sequence[str] | RewardConfig = "rules",
    *,
    fit: Sequence[str] = (),
    free_guards: bool = False,
    scores: str | Path | None = None,
    method: How = "auto",
    pull: float | None = None,
    check: bool = True,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    inner_folds: int = INNER_FOLDS,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    name: str = "",
    tell: Callable[[str], object] = lambda _: None,
    **overrides: Any,
) -> Calibration:
    """Fit the weights of a reward to ratings or preferences, and measure them on cases that they have not seen.

    Args:
        ratings: from `read_ratings`, or a file with the usual columns.
        reward: a preset, the path of a TOML, components by name, or a configuration.
        fit: labels of the components whose weights are fitted; by default those with a weight that are no penalties.
        free_guards: fit the penalties, too. By default they keep their weights, as gates do.
        scores: a file of scores of the file of ratings, row by row, instead of scoring.
        method: `ridge`, `pairwise`, or the better one in cross-validation.
        pull: strength of the pull to the weights at the start, from 0; by default chosen in cross-validation.
        check: ask the reward what a constant text earns (not if it has a judge, whose calls cost).
        folds: of the outer cross-validation.
        repeats: of the outer cross-validation, with other folds each time; agreement is the mean over them.
        inner_folds: of the cross-validation that chooses method and pull.
        resamples: of the bootstrap.
        seed: of folds and resamples.
        name: of the calibrated reward.
        tell: called with notes of what is under way.
        **overrides: of the reward, as of `CompositeReward.from_preset`.

    Raises:
        InputError: too few cases, no agreement at all, or a file that cannot be read.
        ConfigError: an unknown reward, component or method.
        MissingDependencyError: scipy, or a package of a component, is not installed.
    """
    try:
        import scipy  # noqa: F401 - before anything is scored
    except ImportError as error:
        raise needs_scipy(error) from error
    if not isinstance(ratings, Ratings):
        ratings = read_ratings(ratings, texts_needed=scores is None)
    config, where = _config(reward)
    changes = {key: value for key, value in overrides.items() if key not in ("cache", "allow_code")}
    config = override(config, changes, where)
    given: dict[str, Any] = {key: value for key, value in overrides.items() if key not in changes}
    start = CompositeReward.from_config(config, **given)
    tell(f"{len(ratings.cases):,} candidates of {len(set(ratings.groups)):,} cases, {len(ratings.raters)} raters")
    prepared = prepare(ratings, start, fit=fit, free_guards=free_guards, scores=scores)
    problem = prepared.problem
    _check_size(problem, prepared.ratings)
    choices = _choices(problem, method, pull)
    tell("nested cross-validation")
    runs = [nested(problem, choices, folds=folds, inner_folds=inner_folds, seed=seed + i) for i in range(repeats)]
    unseen = [values for values, _ in runs]
    choice = choose(problem, choices, np.arange(problem.cases), inner_folds, seed)
    weights, intervals = fitted_weights(problem, choice, resamples=resamples, seed=seed)
    tell("bootstrap")
    found = _agreements(prepared, unseen, weights, resamples, seed)
    signed = dict(zip(problem.labels, (prepared.signs * weights).round(_DIGITS).tolist(), strict=True))
    ends = {
        label: sorted(sign * end for end in interval) if interval else None
        for label, sign, interval in zip(problem.labels, prepared.signs.tolist(), intervals, strict=True)
    }
    calibrated = override(
        config, {"weights": signed, "name": name or f"{config.name}_calibrated"}, "the calibrated reward"
    )
    quiet = _quiet(start, calibrated, prepared.ratings, given, seed) if check else None
    result = Calibration(
        started_from=config.name,
        config=calibrated,
        weights=tuple(
            Weight(
                label=label,
                before=term.weight,
                after=signed.get(label, term.weight),
                low=ends[label][0] if ends.get(label) else None,  # type: ignore[index]
                high=ends[label][1] if ends.get(label) else None,  # type: ignore[index]
                kept=prepared.roles.kept.get(label, ""),
            )
            for label, term in start.total.terms.items()
        ),
        choice=choice,
        choices=tuple(one for _, chosen in runs for one in chosen),
        before=found["before"],
        after=found["after"],
        gain=found["gain"],
        fitted=found["fitted"],
        raters=found.get("raters"),
        like_rater=found.get("like_rater"),
        scale=_scale(problem, np.mean(unseen, axis=0).round(_DIGITS)),
        quiet=quiet,
        cases=problem.cases,
        candidates=len(problem.codes),
        pairs=found["after"].pairwise_accuracy.n,
        names=ratings.raters,
        left_out=prepared.left_out,
        source=ratings.path.name,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        warnings=(),
    )
    return replace(result, warnings=tuple(_warnings(result, prepared, checked=check)))


def _config(reward: str | Path | Sequence[str] | RewardConfig) -> tuple[RewardConfig, str]:
    if isinstance(reward, RewardConfig):
        return reward, reward.name
    if isinstance(reward, str | Path):
        if is_config_path(reward):
            return load_config(reward), str(reward)
        if str(reward) not in preset_names():
            raise ConfigError(unknown_name("calibrate", "preset", str(reward), preset_names()))
        return parse_config(preset_text(str(reward)), f"preset {reward}"), f"preset {reward}"
    composite = CompositeReward(list(reward))
    weights = {label: ComponentConfig(weight=term.weight) for label, term in composite.total.terms.items()}  # type: ignore[call-arg]
    return RewardConfig(name="equal_weights", components=weights), "the components"  # type: ignore[call-arg]


def _check_size(problem: Problem, ratings: Ratings) -> None:
    if not problem.methods:
        raise InputError(
            f"{ratings.path}: no ratings that can be compared, and no case has two candidates; rate several candidates "
            "of a case, or leave --within-case out"
        )
    fewest = max(FEWEST_CASES, CASES_PER_WEIGHT * len(problem.labels))
    if problem.cases < fewest:
        raise InputError(
            f"{ratings.path}: {problem.cases} cases are rated and scored, and {len(problem.labels)} weights to fit "
            f"({', '.join(problem.labels)}) need at least {fewest}: {CASES_PER_WEIGHT} a weight, and {FEWEST_CASES} in "
            "all. With fewer, chance decides the weights, and no interval of the gain can be trusted. Rate more cases, "
            "or fit fewer components with --fit"
        )


def _choices(problem: Problem, method: How, pull: float | None) -> list[Choice]:
    if method not in ("auto", "ridge", "pairwise"):
        raise ConfigError(unknown_name("calibrate", "method", method, ("auto", "ridge", "pairwise")))
    if method != "auto" and method not in problem.methods:
        why = "there are no ratings to compare over cases" if method == "ridge" else "no case has two candidates"
        raise ConfigError(f"calibrate: method {method!r} is not possible: {why}")
    methods = problem.methods if method == "auto" else (method,)
    if pull is not None and not 0 <= pull < np.inf:
        raise ConfigError(f"calibrate: pull must be a finite number from 0, got {pull!r}")
    return [Choice(one, strength) for strength in (PULLS if pull is None else (pull,)) for one in methods]


def fitted_weights(
    problem: Problem, choice: Choice, *, resamples: int, seed: int
) -> tuple[Numbers, list[tuple[float, float] | None]]:
    """Return the weights, and the interval of each without a pull."""
    weights = fit(problem, choice.method, choice.pull)
    if weights is None:
        raise InputError(
            f"no component agrees with the raters ({', '.join(problem.labels)}): are higher ratings better? Counts of "
            "errors need --errors"
        )

    def statistic(counts: Numbers) -> Numbers:
        drawn = np.atleast_2d(counts)
        undefined = np.full(len(problem.labels), np.nan)
        fits = [fit(problem, choice.method, 0.0, row) for row in drawn]
        found = np.stack([undefined if one is None else one for one in fits])
        return found.reshape(*counts.shape[:-1], found.shape[1])

    drawn = bootstrap(np.eye(problem.cases), statistic, resamples=resamples, seed=seed)
    sizes = np.bincount(problem.codes).astype(np.float64)

    def interval(k: int) -> tuple[float, float] | None:
        most = problem.total if problem.summed[k] else np.inf
        return drawn.interval(lambda found: found[..., k], effective_clusters(sizes), bounds=(0.0, most))

    return weights, [interval(k) for k in range(len(problem.labels))]


def _agreements(
    prepared: Prepared, unseen: Sequence[Numbers], weights: Numbers, resamples: int, seed: int
) -> dict[str, Agreement]:
    problem, ratings = prepared.problem, prepared.ratings
    scores = {
        "before": [problem.compared(problem.values(problem.start))],
        "after": [problem.compared(values) for values in unseen],
        "fitted": [problem.compared(problem.values(weights))],
    }
    if len(ratings.raters) > 1:
        everyone = range(len(ratings.raters))
        others = [ratings.judgments([other for other in everyone if other != one]) for one in everyone]
        scores["raters"] = [ratings.rater(one, judged) for one, judged in zip(everyone, others, strict=True)]
        scores["like_rater"] = [Compared.of(values, judged) for values in unseen for judged in others]
    return measure(scores, problem.codes, gains={"gain": ("after", "before")}, resamples=resamples, seed=seed)


def _scale(problem: Problem, unseen: Numbers) -> tuple[tuple[float, float], ...]:
    """Return the levels of an isotonic regression of the mean rating on the reward."""
    from scipy.optimize import isotonic_regression

    ratings = problem.judged.values
    if ratings is None:
        return ()
    order = np.lexsort((ratings, unseen))
    order = order[np.isfinite(ratings[order])]
    levels, starts = np.unique(unseen[order], return_index=True)
    sizes = np.diff(np.append(starts, len(order)))
    means = np.add.reduceat(ratings[order], starts) / sizes
    fitted = isotonic_regression(means, weights=sizes).x
    rises = np.flatnonzero(np.diff(fitted, prepend=-np.inf) > 1e-9)
    return tuple((round(float(levels[i]), _DIGITS), round(float(fitted[i]), _DIGITS)) for i in rises)


def _quiet(
    start: CompositeReward, config: RewardConfig, ratings: Ratings, given: Mapping[str, Any], seed: int
) -> Quiet | None:
    from cxr_rewards.judges.component import JudgeComponent

    references = [case.reference for case in ratings.cases if case.reference]
    if any(isinstance(component, JudgeComponent) for component in start.components.values()):
        return None
    after = check_quiet(CompositeReward.from_config(config, **given), references, seed)
    before = check_quiet(start, references, seed)
    if after is None or before is None:
        return after
    return replace(after, before=before.constant / before.honest if before.honest > 0 else None)


def _warnings(result: Calibration, prepared: Prepared, *, checked: bool) -> list[str]:
    listed = []
    gain = main_figure(result.gain)
    if gain.low is None or gain.high is None:
        listed.append("the gain has no interval: whether the weights are better than those at the start is unknown")
    elif gain.low <= 0 <= gain.high:
        listed.append(
            f"the interval of the gain, {gain.low:+.3f} to {gain.high:+.3f}, includes 0: {result.started_from} may be "
            "as good as the fitted weights; keep it, or rate more cases"
        )
    elif gain.high < 0:
        listed.append(f"the fitted weights are worse than those of {result.started_from}; keep those")
    if result.quiet is not None and not result.quiet.is_safe:
        listed.append(
            f"{shorten(result.quiet.text)} earns {result.quiet.constant:.3f} for references that call for action, and "
            f"a report that lacks one of their findings {result.quiet.honest:.3f}: less than twice as much, so a "
            "policy need not look at the image. See cxr-rewards audit"
        )
    elif result.quiet is None and checked:
        listed.append(
            f"what a constant text earns was not checked: fewer than {FEWEST} references have two findings and one "
            "that calls for action, or the reward has a judge"
        )
    ratings = prepared.ratings
    if ratings.values is not None:
        for name, column in zip(ratings.raters, ratings.values.T, strict=True):
            known = column[np.isfinite(column)]
            if len(known) and np.ptp(known) == 0:
                listed.append(f"{name} gives every candidate the same rating, which orders nothing")
    for label, reason in prepared.roles.kept.items():
        if reason == SAME:
            listed.append(f"{label} is the same for all candidates, so its weight was kept")
    return listed
