"""Choose the columns of the candidate, the reference and so on: as the user says, or by the usual names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cxr_rewards.errors import InputError, unknown_name

_CANDIDATE = (
    ("candidate", "candidate_report"),
    (
        "completion",
        "generated",
        "generated_report",
        "generated_text",
        "generation",
        "hyp",
        "hypothesis",
        "model_output",
        "output",
        "pred",
        "predicted",
        "predicted_report",
        "prediction",
        "response",
    ),
    ("gen_report", "hypotheses", "model_prediction", "predictions"),
)
_REFERENCE = (
    ("reference", "reference_report"),
    ("gold", "ground_truth", "ground_truth_report", "groundtruth", "gt", "gt_report", "target", "target_report"),
    ("report", "true_report"),
    ("answer", "ref", "references"),
)
_SECTIONS = (("findings", "impression"), ("section_findings", "section_impression"))
_ROLE = re.compile(r"(section|reference|ground_truth|gt|ref)_|_(section|text)$")
_PRIORS = (("priors", "prior_reports", "previous_reports"), ("prior", "prior_report", "previous_report"))
_NUMBERED_PRIOR = re.compile(r"(?:prior|prior_report|previous_report)_?(\d+)")
_CASE_ID = (("case_id",), ("id",))
_STUDIES = ("studyid", "study", "studyuid", "studyinstanceuid", "accession", "accessionnumber", "examid")
_CLUSTER = (
    # patients
    "patientid",
    "patient",
    "patientnumber",
    "mrn",
    "subjectid",
    "subject",
    # studies
    *_STUDIES,
    # groups of rollouts
    "groupid",
    "group",
    "promptid",
    "promptindex",
    "sampleid",
    "exampleid",
    "questionid",
    "caseid",
    "id",
    "uid",
)
_CONTEXT = ("age", "sex", "gender", "indication", "history")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """Columns of a table that hold the parts of a case.

    Attributes:
        candidate: a column name.
        reference: a column name, or several of columns that hold a section each.
        priors: one column that holds a list, or several that hold one report each, oldest first; empty: no priors.
        case_id: the column whose values name the cases, each at most once; `None`: cases are named by row number.
        group: the column whose equal values make a group; `None`: no groups.
        context: column by context key.
    """

    candidate: str
    reference: str | tuple[str, ...]
    priors: tuple[str, ...] = ()
    case_id: str | None = None
    group: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)

    @property
    def references(self) -> tuple[str, ...]:
        """The columns of the reference."""
        return (self.reference,) if isinstance(self.reference, str) else self.reference

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings of the sections that the columns of the reference hold.

        Example:
            >>> ColumnMap(candidate="c", reference=("section_findings", "GT Impression", "history")).headings
            ('Findings', 'Impression', 'History')
        """
        return tuple(_ROLE.sub("", _usual(name)).replace("_", " ").strip().capitalize() for name in self.references)

    @property
    def used(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        named = (self.candidate, *self.references, *self.priors, self.case_id, self.group, *self.context.values())
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def __str__(self) -> str:
        parts = [
            f"candidate from {self.candidate!r}",
            f"reference from {_listed(self.references)}",
            f"priors from {_listed(self.priors)}" if self.priors else "no priors",
            f"case ids from {self.case_id!r}" if self.case_id else "no case ids",
        ]
        if self.group:
            parts.append(f"groups from {self.group!r}")
        if self.context:
            parts.append(f"context from {_listed(self.context.values())}")
        return ", ".join(parts)


def choose_columns(
    columns: Sequence[str],
    *,
    candidate: str | None = None,
    reference: str | None = None,
    priors: Sequence[str] = (),
    case_id: str | None = None,
    group: str | None = None,
    context: Sequence[str] = (),
    where: str = "input",
    references_only: bool = False,
) -> ColumnMap:
    """Find the columns of a case: those named, and for the rest the usual names; a group column only if named.

    The usual names are compared without regard to case, with spaces and hyphens as underscores. A column that is named
    for one part is not used for another. Numbered priors (`prior_1`, `prior_2`, ...) count up from the oldest.

    Args:
        columns: the table's.
        candidate, reference, case_id: column names; `None` to look for the usual ones. Several columns of the
            reference, each with a section, are separated by commas. An empty `case_id`: take none.
        group: a column name; `None`: no groups.
        priors, context: column names; empty to look for the usual ones. A context key is the column's name in lower
            case with underscores.
        where: the table's name in messages.
        references_only: do not look for candidates; the references take their place.

    Raises:
        InputError: a named column does not exist; there is no column for the candidate or the reference, or several
            fit equally; or candidate and reference are the same column.

    Example:
        >>> print(choose_columns(["Prediction", "Ground Truth", "prior_1", "prior_2", "age"]))
        candidate from 'Prediction', reference from 'Ground Truth', priors from 'prior_1', 'prior_2', no case ids,
        context from 'age'
    """
    sections = split_names(reference, columns)
    named = [*(name for name in (candidate, case_id or None, group) if name is not None), *sections, *priors, *context]
    for name in named:
        if name not in columns:
            raise InputError(unknown_name(where, "column", name, columns))
    if candidate is not None and candidate in sections:
        raise InputError(
            f"{where}: column {candidate!r} is named for both candidate and reference; "
            "name two with --candidate-col and --reference-col"
        )
    free = _Free([name for name in columns if name not in named], columns, where)
    if not references_only:
        candidate = candidate or free.required("candidate", _CANDIDATE, "--candidate-col")
    sections = sections or free.reference()
    return ColumnMap(
        candidate=sections[0] if references_only or candidate is None else candidate,
        reference=sections[0] if len(sections) == 1 else sections,
        priors=tuple(priors) or free.priors(),
        case_id=(case_id or None) if case_id is not None else free.one("case ids", _CASE_ID, "--id-col"),
        group=group,
        context=free.context() if not context else {_usual(name): name for name in context},
    )


def split_names(names: str | None, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a reference that the user named: one, or several separated by commas.

    Example:
        >>> split_names("findings, impression", ["findings", "impression"]), split_names("a,b", ["a,b"])
        (('findings', 'impression'), ('a,b',))
    """
    if names is None:
        return ()
    if names in columns or "," not in names:
        return (names,)
    return tuple(dict.fromkeys(part.strip() for part in names.split(",") if part.strip()))


def find_candidate(columns: Sequence[str], where: str) -> str:
    """Return the column of the candidates in a table that has no references.

    Raises:
        InputError: there is none, or several fit equally.
    """
    return _Free(columns, columns, where).required(
        "candidate", (*_CANDIDATE, ("report",), ("text",)), "--candidate-col"
    )


def find_reference(columns: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the columns of the reference in a table that has no candidates.

    Raises:
        InputError: there is none, or several fit equally.
    """
    return _Free(columns, columns, where).reference((*_REFERENCE, ("text",)))


def find_shared_id(columns: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of two tables that may hold the ids of their cases, by the usual names."""
    forms = {
        form for ranks in (_CASE_ID, (_STUDIES, ("uid", "image_id", "dicom_id"))) for rank in ranks for form in rank
    }
    forms = {form.replace("_", "") for form in forms}
    return tuple(name for name in columns if name in others and _usual(name).replace("_", "") in forms)


def choose_cluster(columns: Sequence[str], cluster: str | None, used: ColumnMap, *, where: str = "input") -> str:
    """Return the column whose equal values mark rows that are not independent; empty if each row is.

    The usual names are those of patients, then studies, then groups of rollouts: rows of one patient are alike,
    whatever their study. The column of case ids does not count, because each id occurs once.

    Args:
        columns: the table's.
        cluster: a column name; `None` to look for the usual ones; empty: none.
        used: the columns of cases.
        where: the table's name in messages.

    Raises:
        InputError: the named column does not exist.

    Example:
        >>> used = choose_columns(["id", "Study ID", "subject_id", "candidate", "reference"])
        >>> choose_cluster(["id", "Study ID", "subject_id", "candidate", "reference"], None, used)
        'subject_id'
    """
    if cluster:
        if cluster not in columns:
            raise InputError(unknown_name(where, "column", cluster, columns))
        return cluster
    if cluster is not None:
        return ""
    if used.group:
        return used.group
    taken = {used.candidate, *used.references, used.case_id, *used.priors}
    free = {_usual(name).replace("_", ""): name for name in reversed(columns) if name not in taken}
    return next((free[form] for form in _CLUSTER if form in free), "")


class _Free:
    """The columns that the user did not name, by their usual form."""

    def __init__(self, free: Iterable[str], columns: Iterable[str], where: str) -> None:
        self._columns, self._where = list(columns), where
        self._by_form: dict[str, list[str]] = {}
        for name in free:
            self._by_form.setdefault(_usual(name), []).append(name)

    def one(self, what: str, ranks: Iterable[Iterable[str]], option: str) -> str | None:
        for forms in ranks:
            fitting = [name for form in forms for name in self._by_form.get(form, ())]
            if len(fitting) > 1:
                raise self._ambiguous(what, fitting, option)
            if fitting:
                return fitting[0]
        return None

    def required(self, what: str, ranks: Sequence[Sequence[str]], option: str) -> str:
        name = self.one(what, ranks, option)
        if name is None:
            raise InputError(
                f"{self._where}: no column for the {what}; columns: {_listed(self._columns)}. Name it with {option}, "
                f"or rename it {ranks[0][0]!r}"
            )
        return name

    def reference(self, ranks: Sequence[Sequence[str]] = _REFERENCE) -> tuple[str, ...]:
        name = self.one("reference", ranks, "--reference-col")
        if name is not None:
            return (name,)
        for pair in _SECTIONS:
            if all(len(self._by_form.get(form, ())) == 1 for form in pair):
                return tuple(self._by_form[form][0] for form in pair)
        return (self.required("reference", ranks, "--reference-col"),)

    def priors(self) -> tuple[str, ...]:
        numbered = self._matching(lambda form: _NUMBERED_PRIOR.fullmatch(form) is not None)
        single = self.one("priors", _PRIORS, "--prior-col")
        if not numbered:
            return () if single is None else (single,)
        numbers = [int(re.findall(r"\d+", _usual(name))[-1]) for name in numbered]
        if single is not None or len(set(numbers)) < len(numbers):
            raise self._ambiguous("priors", numbered if single is None else [single, *numbered], "--prior-col")
        return tuple(name for _, name in sorted(zip(numbers, numbered, strict=True)))

    def context(self) -> dict[str, str]:
        return {form: self._by_form[form][0] for form in _CONTEXT if form in self._by_form}

    def _matching(self, test: Callable[[str], bool]) -> list[str]:
        return [name for form, names in self._by_form.items() if test(form) for name in names]

    def _ambiguous(self, what: str, fitting: Iterable[str], option: str) -> InputError:
        return InputError(
            f"{self._where}: several columns could be the {what}: {_listed(fitting)}. Name one with {option}"
        )


def _usual(name: str) -> str:
    return re.sub(r"[\s\-_]+", "_", name.strip()).lower()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
