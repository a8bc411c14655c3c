"""Tables of results, and the forms in which they are shown: on a terminal, in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.table import Table as RichTable

Format = Literal["table", "markdown", "latex", "json"]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$",
}  # fmt: skip
_MARKDOWN = str.maketrans({"|": r"\|", "\n": " ", "<": "&lt;", "*": r"\*", "`": r"\`"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Texts in rows and columns.

    Attributes:
        title: above the table.
        head: names of the columns.
        rows: as many cells each.
        numbers: columns of numbers, which are aligned to the right.
        bold: numbers of the rows that stand out.
        sections: numbers of the rows that begin a section.
        caption: below the table: how to read it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()
    bold: frozenset[int] = frozenset()
    sections: frozenset[int] = frozenset()
    caption: str = ""


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Return a number for a table; `-` if there is none.

    Example:
        >>> number(0.12345), number(0.12345, sign=True), number(-0.0001), number(None)
        ('0.123', '+0.123', '0.000', '-')
    """
    if value is None:
        return "-"
    rounded = round(value, digits) + 0.0  # not -0
    return f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Return an interval for a table; `-` if there is none."""
    if low is None or high is None:
        return "-"
    return f"[{number(low, digits, sign=sign)}, {number(high, digits, sign=sign)}]"


def p_value(p: float | None) -> str:
    """Return a p-value for a table.

    Example:
        >>> p_value(0.0421), p_value(0.00009999), p_value(1.0), p_value(None)
        ('0.042', '<0.001', '1.000', '-')
    """
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def as_markdown(tables: Iterable[Table], notes: Collection[str] = ()) -> str:
    """Return tables, and notes below, as GitHub's Markdown."""
    parts = []
    for table in tables:
        line = ["---:" if name in table.numbers else "---" for name in table.head]
        rows = [
            [f"**{cell}**" if i in table.bold and cell else cell for cell in _escaped(row)]
            for i, row in enumerate(table.rows)
        ]
        grid = "\n".join(f"| {' | '.join(cells)} |" for cells in (list(_escaped(table.head)), line, *rows))
        parts += [f"### {table.title.translate(_MARKDOWN)}\n\n{grid}\n"]
        parts += [f"{table.caption.translate(_MARKDOWN)}\n"] if table.caption else []
    parts += ["\n".join(f"- {note.translate(_MARKDOWN)}" for note in notes) + "\n"] if notes else []
    return "\n".join(parts)


def as_latex(tables: Iterable[Table], notes: Collection[str] = ()) -> str:
    """Return tables for LaTeX with the package booktabs; notes are comments."""
    parts = [f"% {' '.join(note.split())}" for note in notes]
    for table in tables:
        lines = [
            r"\begin{table}",
            rf"\caption{{{latex(' '.join([table.title + '.', table.caption]).strip())}}}",
            rf"\begin{{tabular}}{{{''.join('r' if name in table.numbers else 'l' for name in table.head)}}}",
            r"\toprule",
            rf"{' & '.join(map(latex, table.head))} \\",
            r"\midrule",
        ]
        for i, row in enumerate(table.rows):
            lines += [r"\midrule"] if i and i in table.sections else []
            cells = [rf"\textbf{{{cell}}}" if i in table.bold and cell else cell for cell in map(latex, row)]
            lines.append(rf"{' & '.join(cells)} \\")
        parts.append("\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]))
    return "\n\n".join(parts) + "\n"


def latex(text: str) -> str:
    r"""Return a text with LaTeX's special characters escaped.

    Example:
        >>> latex("findings_f1 & 95%")
        'findings\\_f1 \\& 95\\%'
    """
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def as_rich(table: Table) -> RichTable:
    """Return a table for a terminal."""
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, title_justify="left", caption=table.caption or None, caption_justify="left")
    for name in table.head:
        right = name in table.numbers
        shown.add_column(name, justify="right" if right else "left", no_wrap=right or name.endswith("interval"))
    for i, row in enumerate(table.rows):
        if i in table.sections:
            shown.add_section()
        shown.add_row(*row, style="bold" if i in table.bold else "")
    return shown


def _escaped(cells: Sequence[str]) -> Iterable[str]:
    return (cell.translate(_MARKDOWN) for cell in cells)
