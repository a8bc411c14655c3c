"""Find the columns of ratings: those named, and for the rest the usual names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cxr_rewards.errors import InputError, unknown_name
from cxr_rewards.files.table import Table

_CASE = ("case", "case_id", "case_number", "study_id", "study_number", "study", "image_id", "uid", "prompt_id")
_CANDIDATE_ID = ("candidate_id", "candidate_type", "candidate_name", "system", "model")
_RATER = ("rater", "rater_id", "rater_index", "radiologist", "radiologist_id", "annotator", "annotator_id", "reader")
_RATING = ("rating", "score", "num_errors", "errors", "error_count", "total_errors")
_LISTED = ("ratings", "scores")
_WIDE = re.compile(r"(rating|rater|radiologist|reader|annotator|expert)_?([a-z]|\d{1,3}|rating|errors)")
_PREFERRED = ("preferred", "preference", "better", "winner", "choice")
_PAIR = (("candidate_a", "candidate_b"), ("candidate_1", "candidate_2"), ("report_a", "report_b"), ("a", "b"))
_PAIR_IDS = (("candidate_id_a", "candidate_id_b"), ("system_a", "system_b"), ("model_a", "model_b"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingColumns:
    """Columns named by the user; what is empty is looked for by the usual names.

    Attributes:
        case: names the case; candidates of one case are compared with each other. By default the usual names, else
            each reference is a case.
        candidate: the report, or several columns of reports that name the candidate (only in a file of texts).
        reference: the radiologist's report.
        priors: earlier reports.
        candidate_id: names the candidate within its case.
        ratings: one for each rater; `NAME=A+B` adds up columns under a rater's name. In the long form, one.
        rater: names the rater of the row: the long form.
        preferred: which of two candidates is better: `a`, `b` or `tie`.
        pair: the reports of the two candidates, or their names if the texts are in another file.
        errors: ratings are counts of errors: lower is better, and the rows of one rater and candidate are added up.
        only: count only rows with these values, by column; the others count 0.
    """

    case: str = ""
    candidate: tuple[str, ...] = ()
    reference: str = ""
    priors: tuple[str, ...] = ()
    candidate_id: str = ""
    ratings: tuple[str, ...] = ()
    rater: str = ""
    preferred: str = ""
    pair: tuple[str, ...] = ()
    errors: bool = False
    only: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns of a file of ratings.

    Attributes:
        case: empty: each reference is a case.
        ids: the column of the candidate's name, or two for a pair; empty if there is none.
        rater: empty if not in the long form.
        ratings: by rater, the columns to add up; one entry in the long form.
        listed: the column that holds a list of ratings.
        preferred: empty if the file holds ratings.
        pair: the columns of the two reports of a pair, empty if they are in another file.
    """

    case: str
    ids: tuple[str, ...] = ()
    rater: str = ""
    ratings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    preferred: str = ""
    pair: tuple[str, ...] = ()

    @property
    def wide(self) -> bool:
        """Whether each row is a candidate of its own."""
        return not self.rater and not self.preferred and not self.ids


def choose_layout(table: Table, named: RatingColumns, *, texts: bool) -> Layout:
    """Find the columns of a file of ratings.

    Args:
        table: the file.
        named: by the user.
        texts: the reports are in another file.

    Raises:
        InputError: a named column does not exist, or none holds ratings.
    """
    forms = _forms(table)

    def usual(names: Sequence[str]) -> str:
        return next((forms[name] for name in names if name in forms), "")

    def both(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
        return next(((forms[a], forms[b]) for a, b in pairs if a in forms and b in forms), ())

    for name in (named.case, named.candidate_id, named.rater, named.preferred, *named.pair, *named.only):
        _check(table, name)
    case = named.case or usual(_CASE)
    preferred = named.preferred or ("" if named.ratings else usual(_PREFERRED))
    pair = named.pair or both(_PAIR)
    ids = both(_PAIR_IDS)
    if texts:
        pair, ids = (), named.pair or ids or pair
    if preferred and (pair or ids):
        return Layout(case=case, ids=ids, rater=named.rater or usual(_RATER), preferred=preferred, pair=pair)
    if named.preferred:
        raise InputError(
            f"{table.path}: no columns for the two candidates of a pair; columns: {', '.join(table.columns)}. Name "
            "them with --pair-col, twice"
        )
    candidate_id = named.candidate_id or usual(_CANDIDATE_ID)
    ids = (candidate_id,) if candidate_id else ()
    rater = named.rater or ("" if len(named.ratings) > 1 else usual(_RATER))
    if rater:
        one = named.ratings or tuple(filter(None, [usual(_RATING)]))
        if len(one) == 1:
            return Layout(case=case, ids=ids, rater=rater, ratings=dict([_summed(table, one[0])]))
        if named.rater:
            raise InputError(
                f"{table.path}: with a column of raters one column of ratings is needed, {len(one)} found; columns: "
                f"{', '.join(table.columns)}. Name it with --rating-col"
            )
    if named.ratings:
        if len(named.ratings) == 1 and forms.get("ratings") == named.ratings[0]:
            return Layout(case=case, ids=ids, listed=named.ratings)
        return Layout(case=case, ids=ids, ratings=dict(_summed(table, one) for one in named.ratings))
    if listed := usual(_LISTED):
        return Layout(case=case, ids=ids, listed=(listed,))
    wide = [name for form, name in forms.items() if _WIDE.fullmatch(form)] or list(filter(None, [usual(_RATING)]))
    if not wide:
        raise InputError(
            f"{table.path}: no column of ratings or preferences; columns: {', '.join(table.columns)}. Name one for "
            "each rater with --rating-col, or with --rater-col the one that says who rates, or --preferred-col"
        )
    ordered = sorted(wide, key=table.columns.index)
    return Layout(case=case, ids=ids, ratings={name: (name,) for name in ordered})


def choose_case(table: Table, named: RatingColumns) -> str:
    """Return the column of a file of texts that names the case; empty if there is none."""
    return _present(table, named.case, _CASE)


def choose_id(table: Table, named: RatingColumns) -> str:
    """Return the column of a file of texts that names the candidate; empty if there is none."""
    return _present(table, named.candidate_id, _CANDIDATE_ID)


def _present(table: Table, name: str, others: Sequence[str]) -> str:
    forms = _forms(table)
    return name if name in table.columns else next((forms[other] for other in others if other in forms), "")


def _forms(table: Table) -> dict[str, str]:
    return {re.sub(r"[\s\-_]+", "_", name.strip()).lower(): name for name in reversed(table.columns)}


def _summed(table: Table, spec: str) -> tuple[str, tuple[str, ...]]:
    """Return the rater's name and the columns to add up of `NAME=A+B`, or of a column."""
    if spec in table.columns:
        return spec, (spec,)
    name, equals, rest = spec.partition("=")
    columns = tuple((rest if equals else spec).split("+"))
    for column in columns:
        _check(table, column)
    return (name if equals else spec), columns


def _check(table: Table, name: str) -> None:
    if name and name not in table.columns:
        raise InputError(unknown_name(str(table.path), "column", name, table.columns))
