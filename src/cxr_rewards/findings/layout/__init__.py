"""Labels with their values, tables and check boxes, turned into the sentences that they stand for.

`passages` cuts a section into prose, which is read as it is, and `Statement`s: "Pneumothorax: none", a row of a table
and an empty check box all become "no pneumothorax", with the places in the report that its words come from.

- `words.py`: the values and headings of `data/layout.toml`.
- `labels.py`: whether a few words are a label, and of what.
- `values.py`: a label and its values become statements.
- `separators.py`: the labels within a line.
- `tables.py`: rows and columns.
- `draft.py`: what a section states, in the making; `labelled.py` and `boxes.py` add labels and check boxes to it.
- `lines.py`: the lines of a section, one after the other.
"""

from cxr_rewards.findings.layout.labels import stands_for_fracture
from cxr_rewards.findings.layout.legend import without_legend
from cxr_rewards.findings.layout.lines import has_layout, passages
from cxr_rewards.findings.layout.statement import Passage, Span, Statement

__all__ = ["Passage", "Span", "Statement", "has_layout", "passages", "stands_for_fracture", "without_legend"]
