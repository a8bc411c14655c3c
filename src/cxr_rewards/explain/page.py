"""The page that `cxr-rewards explain` prints.

Reports are hostile input: only printable characters and line feeds of theirs reach the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cxr_rewards.explain.explanation import (
    ExplainedComponent,
    Explanation,
    Kind,
    MarkedReport,
    Note,
    Total,
    Weighing,
)
from cxr_rewards.explain.looks import COLUMNS, LOOKS, PENALTIES, cells
from cxr_rewards.explain.words import detail_lines, number, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def show(explanation: Explanation, console: Console) -> None:
    """Print an explanation: the reports, the findings, the components and the reward.

    On a console without colours marks are signs in the text, `[+1 effusion]`; with them, `effusion[1]` in colour.
    """
    _Page(console).show(explanation)


_NARROW = 80
_NUMBERS = ("value", "transformed", "weight", "adds", "C - E")


class _Page:
    """One explanation on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._coloured = console.color_system is not None and not console.no_color

    def show(self, explanation: Explanation) -> None:
        about = [explanation.case_id, *(f"{key} {value}" for key, value in explanation.context.items())]
        if any(about):
            self._line(", ".join(part for part in about if part))
        kinds: set[Kind] = set()
        for report in explanation.reports:
            self._heading(report.role)
            self._console.print(self._marked(report), soft_wrap=False)
            kinds |= {note.kind for mark in report.marks for note in mark.notes}
        self._legend(kinds)
        if explanation.findings:
            self._findings(explanation.findings)
        if explanation.reward:
            self._reward(explanation.reward, explanation.components)
        for component in explanation.components:
            self._details(component, alone=explanation.reward is None, tabled=explanation.findings)

    def _text(self, text: str, style: str = "") -> Text:
        from rich.text import Text

        return Text(printable(text, self._console.encoding), style if self._coloured else "", overflow="fold")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(self._text(text.replace("\n", " "), style), soft_wrap=False)

    def _heading(self, text: str) -> None:
        self._console.print()
        self._line(text if self._coloured else f"== {text} ==", "bold")

    def _table(self, names: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> None:
        """Print rows of cells, each with its style.

        A narrow console gets one line a row instead of a table, because columns would be too thin to read.
        """
        from rich.table import Table

        if self._console.width < _NARROW:
            for cells, style in rows:
                named = (f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True) if cell)
                self._line(", ".join(named), style)
        elif rows:
            table = Table()
            for name in names:
                right = name in _NUMBERS
                table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
            for cells, style in rows:
                table.add_row(*(self._text(cell, style) for cell in cells))
            self._console.print(table)

    # -------------------------------------------------- reports

    def _marked(self, report: MarkedReport) -> Text:
        text, at = report.text, 0
        if not text or not text.strip():
            return self._text("(no report)" if text is None else "(empty)", "dim")
        line = self._text("")
        for mark in report.marks:
            start, end = mark.span
            line.append_text(self._text(text[at:start]))
            line.append_text(self._mark(text[start:end], mark.notes))
            at = end
        return line.append_text(self._text(text[at:]))

    def _mark(self, phrase: str, notes: Sequence[Note]) -> Text:
        if not self._coloured:
            signs = " ".join(f"{LOOKS[note.kind].sign}{note.number or ''}" for note in notes)
            return self._text(f"[{signs} {phrase}]")
        style = next(look.style for kind, look in LOOKS.items() if any(note.kind == kind for note in notes))
        numbers = ",".join(str(note.number) for note in notes if note.number)
        return self._text(phrase, style).append_text(self._text(f"[{numbers}]" if numbers else "", "dim"))

    def _legend(self, kinds: set[Kind]) -> None:
        parts = [
            self._text(f"{'' if self._coloured else f'[{look.sign}] '}{look.meaning}", look.style)
            for kind, look in LOOKS.items()
            if kind in kinds
        ]
        if parts:
            self._console.print()
            self._console.print(self._text("; ").join(parts), soft_wrap=False)

    # -------------------------------------------------- findings

    def _findings(self, weighing: Weighing) -> None:
        not_in_reward = "" if weighing.in_reward else " (not in this reward; with its defaults)"
        self._heading(f"{weighing.label}{not_in_reward}")
        if weighing.failure:
            self._line(f"unscored: {weighing.failure}")
            return
        self._table(COLUMNS, [(cells(row), LOOKS[row.kind].style) for row in weighing.rows])
        for line in _arithmetic(weighing):
            self._line(line)

    # -------------------------------------------------- the composite

    def _reward(self, reward: Total, components: Sequence[ExplainedComponent]) -> None:
        self._heading(f"reward {reward.name} #{reward.signature.rpartition('#')[2]}")
        steps = any(part.transforms for part in components)
        names = ("component", "better", "value", *(("transform", "transformed") if steps else ()), "weight", "adds")
        rows = []
        for part in components:
            middle = (" ".join(part.transforms), number(part.transformed)) if steps else ()
            better = "higher" if part.higher_is_better else "lower"
            cells = (part.label, better, number(part.value), *middle, f"{part.weight:g}", number(part.contribution))
            rows.append((cells, ""))
        self._table(names, rows)
        self._line(f"weighted sum = {number(reward.sum)}")
        if reward.sum is not None and any(part.weight and part.value is None for part in components):
            self._line("the weight of components without a value went to the others: on_failure = renormalize")
        for gate in reward.gates:
            state = {True: "closed", False: "open", None: "unknown"}[gate.closed]
            style = "red" if gate.closed else ""
            self._line(f"gate {gate.gate}: {state} ({gate.component} = {number(gate.value)})", style)
        if reward.value is None:
            self._line(f"reward: unscored: {reward.reasons}", "bold red")
        else:
            capped = ", capped" if reward.value != reward.sum else ""
            self._line(f"reward = {number(reward.value)}{capped}", "bold")

    def _details(self, part: ExplainedComponent, *, alone: bool, tabled: Weighing | None) -> None:
        """Print what explains a component's value, unless its rows are in the table of findings."""
        if tabled and tabled.in_reward and tabled.label == part.label:
            return
        if not (alone or part.details or part.failure):
            return
        low, high = ("unbounded" if end is None else f"{end:g}" for end in part.bounds)
        better = "higher" if part.higher_is_better else "lower"
        self._heading(f"{part.label} = {number(part.value)}")
        self._line(f"{part.measures}; {low} to {high}, {better} is better", "dim")
        if part.failure:
            self._line(f"unscored: {part.failure}", "red")
        for line in detail_lines(part.details):
            self._line(line)


def _arithmetic(weighing: Weighing) -> Iterator[str]:
    """Iterate over the lines from the sums to the value; the formula is that of `findings_score`."""
    credit, errors, weights, share = weighing.credit, weighing.errors, weighing.weights, weighing.share
    yield f"C = {number(credit)}  matched: the sum of weight * weight / (weight + cost)"
    sums = {kind: sum(row.penalty for row in weighing.rows if row.kind == kind) for kind in PENALTIES}
    listed = " + ".join(f"{number(penalty)} {PENALTIES[kind]}" for kind, penalty in sums.items() if penalty)
    yield f"E = {number(errors)}  errors{f': {listed}' if listed else ''}"
    yield f"N = {number(weights)}  weights of the reference's findings"
    score = number(weighing.value)
    if share is None:
        yield f"score = {score}, because nothing was read in the candidate"
        return
    if weights:
        yield f"S = (C - E) / N = ({number(credit)} - {number(errors)}) / {number(weights)} = {number(share)}"
    elif errors:
        yield f"S = -(E + 1) = {number(share)}, because N = 0"
    else:
        yield f"S = {number(share)}, because N = 0 and E = 0"
    if share >= 0:
        yield f"score = S = {score}"
    else:
        yield f"score = -d / (1 + d) = {score}, with d = E - C = {number(errors - credit)}, because S < 0"
