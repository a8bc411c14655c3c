"""The page that `cxr-rewards explain` prints.

Reports are hostile input: nothing of them reaches the terminal but printable characters and line feeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import category

from cxr_rewards.explain.build import KINDS
from cxr_rewards.findings import Finding
from cxr_rewards.findings.matching import in_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# ---------------------------------------------------------------- in words


def number(value: float | None) -> str:
    """Return a number as it is shown: four decimals, never minus zero; `-` for none.

    Example:
        >>> number(-0.00001), number(2 / 3), number(None)
        ('0.0000', '0.6667', '-')
    """
    return "-" if value is None else f"{value:z.4f}"


def printable(text: str, encoding: str = "utf-8") -> str:
    r"""Return a text that a terminal shows and does not obey.

    Line ends become line feeds; tabs and odd spaces a space; every other character that is not printable (controls, the
    beginning of ANSI codes, marks of writing direction, characters without width) its escape; and so does what the
    terminal's encoding does not have.

    Example:
        >>> print(printable("Left\u202e effusion.\x1b[31m", "ascii"))
        Left\u202e effusion.\x1b[31m
    """
    if not text.isprintable():
        text = "".join(map(_shown, text.replace("\r\n", "\n").replace("\r", "\n")))
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _shown(char: str) -> str:
    if char == "\n" or char.isprintable():
        return char
    return " " if char == "\t" or category(char) == "Zs" else char.encode("unicode_escape").decode("ascii")


def words(value: Any) -> str:
    """Return a value of a component's details in words; whatever has an `observation` is told as a finding.

    Example:
        >>> words({"observation": "effusion", "side": "left", "severity": 2.0, "span": [6, 14], "agreement": 1})
        'mild left effusion [6:14]; agreement: 1'
        >>> words([["edema", "present", ""], ["pneumonia", "possible", "left"]])
        'edema present, pneumonia possible left'
    """
    if value is None or isinstance(value, float):
        return number(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        told = [_told(value)] if isinstance(value.get("observation"), str) else []
        keys = [key for key in value if not told or key not in _TOLD]
        return "; ".join([*told, *(f"{key}: {words(value[key])}" for key in keys)]) or "none"
    if isinstance(value, list | tuple):
        flat = (" ".join(words(i) for i in v if i != "") if isinstance(v, list | tuple) else words(v) for v in value)
        return ", ".join(flat) or "none"
    return str(value)


_TOLD = (*Finding._fields, "span")


def _told(finding: Mapping[str, Any]) -> str:
    """Return a finding in words, with its span."""
    get = finding.get
    severity, size, change = get("severity"), get("size_mm"), get("change") or ""
    head = [
        {"absent": "" if change else "no", "possible": "possible"}.get(get("polarity") or "", ""),
        change,
        in_words(severity) if isinstance(severity, int | float) and 1 <= severity <= 5 else words(severity or ""),
        get("side") or "",
        finding["observation"].replace("_", " "),
    ]
    more = [words(get(key)) for key in ("places", "descriptors", "positions") if get(key)]
    more += [f"{words(size)} mm" if not isinstance(size, int | float) else f"{size:g} mm"] if size else []
    more += [f"number {get('number')}"] if get("number") else []
    more += ["implied"] if get("implied") else []
    said = " ".join(word for word in head if word) + (f" ({', '.join(more)})" if more else "")
    span = get("span")
    return f"{said} [{span[0]}:{span[1]}]" if isinstance(span, list | tuple) and len(span) == 2 else said


def _lines(details: Mapping[str, Any]) -> Iterator[str]:
    """Iterate over details line by line: a list of tables has one line an item."""
    for key, value in details.items():
        if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            yield f"{key}:"
            yield from (f"  - {words(item)}" for item in value)
        else:
            yield f"{key}: {words(value)}"


# ---------------------------------------------------------------- on the terminal


def show(told: Mapping[str, Any], console: Console) -> None:
    """Print what `explain` returned: the reports, the findings, the components and the reward.

    On a console without colours marks are signs in the text, `[+1 effusion]`; with them, `effusion[1]` in colour.
    """
    _Page(console).show(told)


_NARROW = 80
_NUMBERS = ("value", "transformed", "weight", "adds", "C - E")


class _Page:
    """One explanation on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._coloured = console.color_system is not None and not console.no_color

    def show(self, told: Mapping[str, Any]) -> None:
        about = [told["case"]["id"], *(f"{key} {value}" for key, value in told["case"]["context"].items())]
        if any(about):
            self._line(", ".join(part for part in about if part))
        kinds: set[str] = set()
        for report in told["reports"]:
            self._heading(report["role"])
            self._console.print(self._marked(report), soft_wrap=False)
            kinds |= {note["kind"] for mark in report["marks"] for note in mark["notes"]}
        self._legend(kinds)
        if told["findings"]:
            self._findings(told["findings"])
        if told["reward"]:
            self._reward(told["reward"], told["components"])
        for part in told["components"]:
            self._details(part, alone=told["reward"] is None, tabled=told["findings"])

    def _text(self, text: str, style: str = "") -> Text:
        from rich.text import Text

        return Text(printable(text, self._console.encoding), style if self._coloured else "", overflow="fold")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(self._text(text.replace("\n", " "), style), soft_wrap=False)

    def _heading(self, text: str) -> None:
        self._console.print()
        self._line(text if self._coloured else f"== {text} ==", "bold")

    def _table(self, names: Sequence[str], rows: Sequence[tuple[Sequence[str], str]]) -> None:
        """Print rows of cells, each with its style; on a narrow console a row is a line, as columns would be shreds."""
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

    def _marked(self, report: Mapping[str, Any]) -> Text:
        text, at = report["text"], 0
        if not text or not text.strip():
            return self._text("(no report)" if text is None else "(empty)", "dim")
        line = self._text("")
        for mark in report["marks"]:
            start, end = mark["span"]
            line.append_text(self._text(text[at:start]))
            line.append_text(self._mark(text[start:end], mark["notes"]))
            at = end
        return line.append_text(self._text(text[at:]))

    def _mark(self, phrase: str, notes: Sequence[Mapping[str, Any]]) -> Text:
        if not self._coloured:
            signs = " ".join(f"{KINDS[note['kind']][0]}{note['number'] or ''}" for note in notes)
            return self._text(f"[{signs} {phrase}]")
        style = next(style for kind, (_, style, _) in KINDS.items() if any(note["kind"] == kind for note in notes))
        numbers = ",".join(str(note["number"]) for note in notes if note["number"])
        return self._text(phrase, style).append_text(self._text(f"[{numbers}]" if numbers else "", "dim"))

    def _legend(self, kinds: set[str]) -> None:
        parts = [
            self._text(f"{'' if self._coloured else f'[{sign}] '}{meaning}", style)
            for kind, (sign, style, meaning) in KINDS.items()
            if kind in kinds
        ]
        if parts:
            self._console.print()
            self._console.print(self._text("; ").join(parts), soft_wrap=False)

    # -------------------------------------------------- findings

    def _findings(self, found: Mapping[str, Any]) -> None:
        elsewhere = "" if found["in_reward"] else " (not in this reward; with its defaults)"
        self._heading(f"{found['label']}{elsewhere}")
        if found["failure"]:
            self._line(f"unscored: {found['failure']}")
            return
        names = ("", "reference", "candidate", "significance", "weight", "differs", "C - E")
        self._table(names, [(_cells(row), KINDS[row["kind"]][1]) for row in found["rows"]])
        for line in _arithmetic(found):
            self._line(line)

    # -------------------------------------------------- the composite

    def _reward(self, reward: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> None:
        self._heading(f"reward {reward['name']} #{reward['signature'].rpartition('#')[2]}")
        steps = any(part["transforms"] for part in parts)
        names = ("component", "better", "value", *(("transform", "transformed") if steps else ()), "weight", "adds")
        rows = []
        for part in parts:
            middle = (" ".join(part["transforms"]), number(part["transformed"])) if steps else ()
            better = "higher" if part["higher_is_better"] else "lower"
            cells = (part["label"], better, number(part["value"]), *middle, f"{part['weight']:g}")
            rows.append(((*cells, number(part["contribution"])), ""))
        self._table(names, rows)
        self._line(f"weighted sum = {number(reward['sum'])}")
        if reward["sum"] is not None and any(part["weight"] and part["value"] is None for part in parts):
            self._line("the weight of components without a value went to the others: on_failure = renormalize")
        for gate in reward["gates"]:
            state = {True: "closed", False: "open", None: "unknown"}[gate["closed"]]
            style = "red" if gate["closed"] else ""
            self._line(f"gate {gate['gate']}: {state} ({gate['component']} = {number(gate['value'])})", style)
        if reward["value"] is None:
            self._line(f"reward: unscored: {reward['reasons']}", "bold red")
        else:
            capped = ", capped" if reward["value"] != reward["sum"] else ""
            self._line(f"reward = {number(reward['value'])}{capped}", "bold")

    def _details(self, part: Mapping[str, Any], *, alone: bool, tabled: Mapping[str, Any] | None) -> None:
        """Print what explains a component's value, except of the one whose rows are in the table of findings."""
        if tabled and tabled["in_reward"] and tabled["label"] == part["label"]:
            return
        if not (alone or part["details"] or part["failure"]):
            return
        low, high = ("unbounded" if end is None else f"{end:g}" for end in part["bounds"])
        better = "higher" if part["higher_is_better"] else "lower"
        self._heading(f"{part['label']} = {number(part['value'])}")
        self._line(f"{part['measures']}; {low} to {high}, {better} is better", "dim")
        if part["failure"]:
            self._line(f"unscored: {part['failure']}", "red")
        for line in _lines(part["details"]):
            self._line(line)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    reference, candidate = row["reference"], row["candidate"]
    differs = [f"{d['kind']} {d['cost']:g}: {d['says']}" for d in row["differs"]]
    if row["cost"] != sum(d["cost"] for d in row["differs"]):
        differs.append(f"in all {row['cost']:g}, for the finding weighs little")
    if row["kind"] == "missed":
        differs.append("missed" if candidate is None else f"missed, denied {row['penalty']:g}")
    elif row["penalty"]:
        differs.append(f"{_ERRORS[row['kind']]} {row['penalty']:g}")
    return (
        f"{KINDS[row['kind']][0]}{row['number']}",
        _told({**reference, "span": None}) if reference else "",  # the text is marked
        _told({**candidate, "span": None}) if candidate else "",
        row["significance"].replace("_", " "),
        f"{row['weight']:g}",
        "; ".join(differs),
        number(row["credit"] - row["penalty"]),
    )


def _arithmetic(found: Mapping[str, Any]) -> Iterator[str]:
    """Iterate over the lines from the sums to the value; the formula is that of `findings_score`."""
    correct, wrong, total, share, value = (found[key] for key in ("C", "E", "N", "S", "value"))
    yield f"C = {number(correct)}  matched: the sum of weight * weight / (weight + cost)"
    sums = {kind: sum(row["penalty"] for row in found["rows"] if row["kind"] == kind) for kind in _ERRORS}
    listed = " + ".join(f"{number(cost)} {_ERRORS[kind]}" for kind, cost in sums.items() if cost)
    yield f"E = {number(wrong)}  errors{f': {listed}' if listed else ''}"
    yield f"N = {number(total)}  weights of the reference's findings"
    if share is None:
        yield f"score = {number(value)}, for nothing was read in the candidate"
        return
    if total:
        yield f"S = (C - E) / N = ({number(correct)} - {number(wrong)}) / {number(total)} = {number(share)}"
    elif wrong:
        yield f"S = -(E + 1) = {number(share)}, for N = 0"
    else:
        yield f"S = {number(share)}, for N = 0 and E = 0"
    if share >= 0:
        yield f"score = S = {number(value)}"
    else:
        yield f"score = -d / (1 + d) = {number(value)}, with d = E - C = {number(wrong - correct)}, for S < 0"


_ERRORS = {"false": "false", "missed": "denied", "contradicted": "told and denied", "differs": "told as weightier"}
