"""Checks for components, yours and ours: `check_component` runs one conformance suite on any of them."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args, get_origin, get_type_hints

from cxr_rewards.component import Component
from cxr_rewards.engine import Engine, score_one
from cxr_rewards.errors import ConfigError
from cxr_rewards.feature import FeatureTable
from cxr_rewards.types import Case, Failure, Score

_PRIOR = "FINDINGS: Small left pleural effusion. Heart size is normal. IMPRESSION: Small left effusion."
_REPORT = (
    "FINDINGS: The left pleural effusion has increased and is now moderate. New patchy opacity at the left base. "
    "No pneumothorax. Heart size is normal.\nIMPRESSION: Larger left effusion; possible left basal pneumonia."
)
_CLEAR = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."

SAMPLE_CASES: tuple[Case, ...] = (
    Case(candidate=_REPORT, reference=_REPORT, priors=(_PRIOR,), context={"age": "63", "sex": "F"}),
    Case(candidate=_CLEAR, reference=_CLEAR),
    Case(candidate=_CLEAR, reference=_REPORT, priors=(_PRIOR,)),
    Case(candidate=_REPORT, reference=_CLEAR),
    Case(candidate=_PRIOR, reference=_REPORT, priors=(_PRIOR, _CLEAR)),
    Case(candidate="Cardiomegaly without edema. Right chest tube in place.", reference="MILD CARDIOMEGALY. NO EDEMA."),
    Case(candidate="No pneumothorax. " * 40, reference="Tiny right apical pneumothorax, unchanged."),
    Case(candidate="", reference=_CLEAR),
    Case(candidate=" \r\n\t\u00a0", reference=_CLEAR),
    Case(candidate="...", reference=_REPORT),
    Case(candidate="Thorax unauffällig. 胸部正常。 \U0001fa7b", reference=_CLEAR),
    Case(candidate="\x00\x1b[31m<|im_end|>\ud800", reference=_REPORT),
    Case(candidate="word " * 3000, reference=_REPORT, priors=("",)),
    Case(candidate=_REPORT, reference="   "),
)
"""Cases that a component must bear: ordinary, perfect, wrong, degenerate, empty, hostile; the last has no reference."""


def _expect(holds: object, rule: str) -> None:
    if not holds:  # not an assert statement, which `python -O` leaves out
        raise AssertionError(rule)


def _same(a: Score, b: Score) -> bool:
    return a.value == b.value and a.failure == b.failure and a.details == b.details


def _alternatives(current: Any, hint: Any) -> Iterator[Any]:
    """Yield other values that a setting might take, judging by its type."""
    options: Sequence[Any] = get_args(hint) if get_origin(hint) is not None else ()
    yield from (option for option in options if isinstance(option, str | int | float) and option != current)
    if isinstance(current, bool):
        yield not current
    elif isinstance(current, int):
        yield from (current + 1, current - 1)
    elif isinstance(current, float):
        yield from (current / 2, current + 0.25, current * 2 + 1)
    elif isinstance(current, str):
        yield current + "x"


def check_component(
    component: Component, *, alternatives: Mapping[str, Any] | None = None, cases: Sequence[Case] = SAMPLE_CASES
) -> None:
    """Check that a component keeps the rules that the engine and the trainers rely on.

    Checked: it names and documents itself and each setting; every value is a finite float within `bounds` and its
    details are JSON; a score is the same alone, in a batch, in any order, in several threads and after pickling; the
    inputs stay as they were; empty and blank candidates have the same, defined score; identical texts reach the best
    bound (unless the component says in `identical` why not); every setting that changes scores changes the signature;
    a failed feature and a blank reference give `None` with a reason.

    Args:
        component: an instance with the settings to check.
        alternatives: for settings whose other values cannot be guessed from their type: one other valid value by name.
        cases: what to score.

    Raises:
        AssertionError: the first rule that is broken, in words.

    Example:
        >>> from cxr_rewards.components.temporal_f1 import TemporalF1
        >>> check_component(TemporalF1())
    """
    name = component.name
    _check_declaration(component)
    engine = Engine({name: component})
    before = [repr(case) for case in cases]
    scores = [row[0] for row in engine.run(cases)]
    for case, score in zip(cases, scores, strict=True):
        _check_score(component, case, score)

    for case, score in zip(cases, scores, strict=True):
        _expect(_same(engine.run([case])[0][0], score), f"{name}: score alone and in a batch differ for {case!r}")
    backwards = [row[0] for row in engine.run(cases[::-1])][::-1]
    _expect(all(map(_same, scores, backwards)), f"{name}: scores depend on the order of cases")
    with ThreadPoolExecutor(4) as pool:
        for run in pool.map(lambda _: [row[0] for row in engine.run(cases)], range(4)):
            _expect(all(map(_same, scores, run)), f"{name}: scores differ between threads")
    copy = pickle.loads(pickle.dumps(component))  # noqa: S301 - our own bytes
    _expect(copy == component, f"{name}: is not equal to itself after pickling")
    _expect(copy.signature == component.signature, f"{name}: signature changes through pickling")
    thawed = [row[0] for row in Engine({name: copy}).run(cases)]
    _expect(all(map(_same, scores, thawed)), f"{name}: scores change through pickling")
    _expect([repr(case) for case in cases] == before, f"{name}: changed a case")

    _check_edges(component, engine)
    _check_signature(component, alternatives or {})


def _check_declaration(component: Component) -> None:
    cls, name = type(component), component.name
    _expect(name.isidentifier() and name == name.lower(), f"{name}: a name is lower case words joined by _")
    _expect(component.summary, f"{name}: summary is empty; say in a few words what it measures")
    _expect(cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), f"{name}: the class has no docstring")
    low, high = component.bounds
    _expect(low < high, f"{name}: bounds {component.bounds} are not (smallest, largest)")
    for key, spec in cls.settings().items():
        _expect(spec.metadata.get("doc"), f"{name}: setting {key} has no doc; declare it as setting(default, doc)")
    _expect(
        component == cls(**{key: getattr(component, key) for key in cls.settings()}),
        f"{name}: settings do not rebuild it",
    )


def _check_score(component: Component, case: Case, score: Score) -> None:
    name = component.name
    low, high = component.bounds
    if score.value is None:
        _expect(score.failure, f"{name}: no value and no reason for {case!r}")
        return
    _expect(score.failure is None, f"{name}: a value and a failure at once for {case!r}")
    _expect(
        type(score.value) is float, f"{name}: value is a {type(score.value).__name__}, expected float, for {case!r}"
    )
    _expect(low <= score.value <= high, f"{name}: {score.value} is outside {component.bounds} for {case!r}")
    try:
        json.dumps(score.details, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{name}: details are not JSON ({error}) for {case!r}") from error


def _check_edges(component: Component, engine: Engine) -> None:
    name = component.name
    empty, blank, perfect, no_reference, not_text = (
        row[0]
        for row in engine.run([
            Case(candidate="", reference=_CLEAR),
            Case(candidate=" \n ", reference=_CLEAR),
            Case(candidate=_REPORT, reference=_REPORT),
            Case(candidate=_REPORT, reference=" "),
            Case(candidate=None, reference=_REPORT),  # type: ignore[arg-type]
        ])
    )  # fmt: skip
    _expect(empty.value is not None, f"{name}: an empty candidate has no score: {empty.failure}")
    _expect(empty.value == blank.value, f"{name}: empty and blank candidates differ: {empty.value}, {blank.value}")
    if not component.identical:
        best = component.bounds[1 if component.higher_is_better else 0]
        _expect(
            perfect.value is not None and abs(perfect.value - best) < 1e-9,
            f"{name}: identical texts score {perfect.value}, not the best bound {best}; explain in `identical` why",
        )
    if "reference" in component.reads:
        _expect(no_reference.value is None, f"{name}: scores against a blank reference")
    _expect(not_text.value is None, f"{name}: scores a candidate that is no text")
    if component.needs:
        broken = Failure("broken_feature", "made to fail")
        table = FeatureTable(defaultdict(lambda: defaultdict(lambda: broken)))
        score = score_one(name, component, SAMPLE_CASES[0], table)
        _expect(score.value is None and score.failure == broken, f"{name}: hides the failure of a feature")


def _check_signature(component: Component, alternatives: Mapping[str, Any]) -> None:
    cls, name = type(component), component.name
    hints = get_type_hints(cls)
    values = {key: getattr(component, key) for key in cls.settings()}
    for key, spec in cls.settings().items():
        tries = [alternatives[key]] if key in alternatives else list(_alternatives(values[key], hints[key]))
        for value in tries:
            try:
                other = cls(**{**values, key: value})
            except ConfigError:
                continue
            changed = other.signature != component.signature
            _expect(
                changed == spec.metadata.get("changes_scores", True),
                f"{name}: setting {key}={value!r} {'changes' if changed else 'does not change'} the signature",
            )
            break
        else:
            raise AssertionError(
                f"{name}: found no other valid value for setting {key}; pass alternatives={{{key!r}: ...}}"
            )
