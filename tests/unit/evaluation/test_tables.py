"""Tables of results in each form."""

from __future__ import annotations

import io

from rich.console import Console

from cxr_rewards.evaluation.tables import Table, as_latex, as_markdown, as_rich, interval, number

TABLE = Table(
    title="a_b",
    head=("name", "n"),
    rows=(("x|y", "1"), ("50% & more", "2")),
    numbers=frozenset({"n"}),
    bold=frozenset({1}),
    sections=frozenset({1}),
    caption="n: number",
)


def test_markdown_escapes_what_would_end_a_cell():
    assert as_markdown([TABLE], ["a note"]) == (
        "### a_b\n\n| name | n |\n| --- | ---: |\n| x\\|y | 1 |\n| **50% & more** | **2** |\n\nn: number\n\n- a note\n"
    )


def test_latex_escapes_its_special_characters():
    text = as_latex([TABLE], ["a note"])
    assert text.startswith("% a note\n\n\\begin{table}\n\\caption{a\\_b. n: number}\n\\begin{tabular}{lr}\n\\toprule\n")
    assert "x|y & 1 \\\\\n\\midrule\n\\textbf{50\\% \\& more} & \\textbf{2} \\\\\n\\bottomrule" in text


def test_a_terminal_gets_the_same_cells():
    stream = io.StringIO()
    Console(file=stream, width=60, markup=False).print(as_rich(TABLE))
    assert all(cell in stream.getvalue() for row in TABLE.rows for cell in row)


def test_a_missing_number_is_a_dash_and_zero_has_no_sign():
    assert (number(None), number(-0.0001), number(0.0, sign=True), interval(None, 1.0)) == ("-", "0.000", "0.000", "-")
    assert interval(-0.1, 0.25, 2, sign=True) == "[-0.10, +0.25]"
