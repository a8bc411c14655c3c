"""The audit as parts of an HTML page; `cxr_rewards.evaluation.report` draws and writes it."""

from __future__ import annotations

from cxr_rewards.evaluation.auditing.guesses import by_form
from cxr_rewards.evaluation.auditing.result import Audit, Check, Dose, Kind, Policy
from cxr_rewards.evaluation.auditing.studies import GROUPS
from cxr_rewards.evaluation.report.blocks import (
    Axis,
    Column,
    Group,
    Legend,
    Name,
    Page,
    Paragraph,
    Path,
    Plot,
    Plots,
    Section,
    Strip,
    Table,
    axis_of,
    number,
)

_LOOKS: dict[Kind, Name] = {
    "honest": Name("honest: part of the findings right", 0),
    "blind": Name("blind: never looks at the image", 1),
    "other": Name("other: a right or half right report, changed", 2),
    "candidates": Name("candidates of yours", 3),
}
_LONGEST = 400
"""Characters of an example that are shown."""


def page_of(audit: Audit) -> Page:
    """Return the page of an audit."""
    about = (
        f"{len(audit.failed)} of {len(audit.checks)} checks failed. {audit.sick:,} sick references of "
        f"{audit.references:,} read, {audit.calls:,} texts scored, seed {audit.seed}."
    )
    sections = [_verdicts(audit), _policies(audit)]
    if audit.doses:
        sections.append(_doses(audit.doses))
    sections += [_guesses(audit), _details(audit)]
    if audit.unscored:
        rows = tuple((reason, f"{count:,}") for reason, count in audit.unscored.items())
        table = _table("Texts without a score", ("reason", "texts"), rows)
        sections.append(Section(anchor="unscored", title="Unscored", blocks=(table,)))
    return Page(title=f"Audit of {audit.reward}", about=about, sections=tuple(sections))


def _table(caption: str, names: tuple[str, ...], rows: tuple[tuple[str, ...], ...], note: str = "") -> Table:
    columns = tuple(Column(name, "number" if i else "text") for i, name in enumerate(names))
    return Table(caption=caption, columns=columns, groups=(Group(rows=rows),), note=note)


def _limit(check: Check) -> str:
    return f"{'≥' if check.passes == 'at_least' else '≤'}\u00a0{check.limit:g}"


def _verdicts(audit: Audit) -> Section:
    groups = []
    for verdict, head in (("FAIL", "Failed"), ("pass", "Passed"), ("not judged", "Not judged")):
        rows = tuple(
            (check.name, check.asks, number(check.value), _limit(check), check.unit, check.worst)
            for check in audit.checks
            if check.verdict == verdict
        )
        if rows:
            groups.append(Group(head=head, about=f"{len(rows)} of {len(audit.checks)} checks", rows=rows))
    names = ("check", "question", "value", "limit", "unit", "worst")
    columns = tuple(Column(name, "number" if name in ("value", "limit") else "text") for name in names)
    cures = (
        Paragraph(f"{check.name}: {check.why} {check.cure}", warning=True)
        for check in audit.checks
        if check.passed is False
    )
    table = Table(caption="Checks", columns=columns, groups=tuple(groups))
    return Section(anchor="checks", title="Checks", blocks=(table, *cures))


def _policies(audit: Audit) -> Section:
    axis = axis_of([0.0, 1.0, *(policy.level for policy in audit.policies)], pad=True)
    groups = [group for group in GROUPS if any(group in policy.by_group for policy in audit.policies)]
    rows = tuple(_policy(policy, axis, groups) for policy in audit.policies)
    columns = (
        Column("policy", "text"),
        Column("mean"),
        Column("level"),
        Column("level", "plot", axis),
        *(Column(group.replace("_", " ")) for group in groups),
        Column("unscored"),
    )
    note = (
        "Mean reward on sick references, and by the gravest finding of the reference. Level: 0 is a report with none "
        "of the abnormal findings right, 1 the report itself."
    )
    kinds = dict.fromkeys(policy.kind for policy in audit.policies)
    legend = Legend(systems=tuple(_LOOKS[kind] for kind in _LOOKS if kind in kinds))
    table = Table(caption="Policies", columns=columns, groups=(Group(rows=rows),), note=note)
    return Section(anchor="policies", title="Policies", blocks=(legend, table))


def _policy(policy: Policy, axis: Axis, groups: list[str]) -> tuple[str | Name | Strip, ...]:
    look = _LOOKS[policy.kind].look
    return (
        Name(policy.name, look),
        number(policy.value),
        number(policy.level),
        Strip(axis, look, policy.level, zero=0.0),
        *(number(policy.by_group.get(group)) for group in groups),
        f"{policy.unscored:,}",
    )


def _doses(doses: tuple[Dose, ...]) -> Section:
    x = axis_of([100 * dose.share for dose in doses])
    y = axis_of([value for dose in doses for value in (dose.clinical, dose.others)], pad=True)

    def line(look: int, values: list[float]) -> Path:
        points = zip((x.place(100 * dose.share) for dose in doses), map(y.place, values), strict=True)
        return Path(f"line s{look}", "M" + "L".join(f"{a:g} {100 - b:g}" for a, b in points))

    clinical, others = Name("clinical words", 1), Name("as many other words", 0)
    says = "; ".join(f"{dose.share:.0%}: {dose.clinical:.3f} and {dose.others:.3f}" for dose in doses)
    plot = Plot(
        title="Mean reward by the share of corrupted words",
        says=f"Clinical and other words, {says}.",
        x=x,
        y=y,
        x_label="% of the clinical words",
        y_label="reward",
        paths=(line(1, [dose.clinical for dose in doses]), line(0, [dose.others for dose in doses])),
    )
    return Section(anchor="doses", title="Corrupted words", blocks=(Legend(systems=(clinical, others)), Plots((plot,))))


def _guesses(audit: Audit) -> Section:
    forms = tuple((form, f"{share:.0%}") for form, share in by_form(audit.guesses).items())
    rows = tuple(
        (guess.finding, guess.form, number(guess.gain), number(guess.cost), f"{guess.break_even:.0%}")
        for guess in audit.guesses
    )
    tables = (
        _table("By form", ("form", "break-even"), forms, "The probability of being true from which a guess pays."),
        _table("By finding and form", ("finding", "form", "gain if true", "cost if false", "break-even"), rows),
    )
    return Section(anchor="guesses", title="Guessed sentences", blocks=tables)


def _details(audit: Audit) -> Section:
    groups = tuple(
        Group(head=check.name, about=check.asks, rows=tuple((name, number(value)) for name, value in check.items))
        for check in audit.checks
        if check.items
    )
    columns = (Column("tried", "text"), Column("value"))
    table = Table(caption="All that was tried", columns=columns, groups=groups)
    texts = tuple((policy.name, shortened(policy.example)) for policy in audit.policies)
    examples = Table(
        caption="An example of each text",
        columns=(Column("policy", "text"), Column("example", "text")),
        groups=(Group(rows=texts),),
    )
    signature = Paragraph(f"Signature of the reward: {audit.signature}")
    return Section(anchor="details", title="Details", blocks=(table, examples, signature))


def shortened(text: str) -> str:
    """Return an example as the page shows it."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
