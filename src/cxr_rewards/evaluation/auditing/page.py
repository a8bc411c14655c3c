"""The audit as one HTML page that loads nothing.

Texts of reports are hostile input: whatever the page shows is made printable and escaped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.auditing.guesses import by_form
from cxr_rewards.evaluation.auditing.result import Audit, Check, Policy
from cxr_rewards.explain.words import printable
from cxr_rewards.files.write import in_one_step

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.pass { color: #1a7f37 } .FAIL { color: #cf222e; font-weight: 600 } .not { opacity: .6 }
.bar { background: #8883; height: .8rem; min-width: 8rem; position: relative }
.bar i { position: absolute; top: 0; bottom: 0; background: #6b7fd7 }
.honest .bar i { background: #1a7f37 } .blind .bar i { background: #cf222e } .candidates .bar i { background: #bf8700 }
small { opacity: .75 } summary { cursor: pointer }
"""


def to_html(audit: Audit) -> str:
    """Return the page."""
    failed = len(audit.failed)
    parts = [
        f"<h1>Audit of {_text(audit.reward)}</h1>",
        f"<p>{failed} of {len(audit.checks)} checks failed. {audit.sick} sick of {audit.references:,} references, "
        f"{audit.calls:,} texts scored, seed {audit.seed}.<br><small>{_text(audit.signature)}</small></p>",
        "<h2>Checks</h2>",
        _table(("check", "verdict", "value", "limit"), (_check_row(check) for check in audit.checks)),
        "<h2>Policies</h2><p>Mean reward on sick references. Level: 0 is a report with no abnormal finding right, 1 "
        'the report itself. <span class="pass">Green</span>: honest; <span class="FAIL">red</span>: never looks at the '
        "image.</p>",
        _table(("policy", "kind", "mean", "level", ""), (_policy_row(policy) for policy in audit.policies)),
        "<h2>Corrupted words</h2>",
        _table(
            ("share of the clinical words", "clinical", "as many others"),
            (_row("", (f"{dose.share:.0%}", _number(dose.clinical), _number(dose.others))) for dose in audit.doses),
        ),
        "<h2>Guessed sentences</h2><p>The probability of being true from which a guess pays.</p>",
        _table(
            ("form", "break-even"),
            (_row("", (_text(form), f"{share:.0%}")) for form, share in by_form(audit.guesses).items()),
        ),
    ]
    if audit.unscored:
        rows = (_row("", (_text(reason), str(count))) for reason, count in audit.unscored.items())
        parts += ["<h2>Unscored</h2>", _table(("reason", "texts"), rows)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="generator" content="cxr_rewards audit">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>Audit of {_text(audit.reward)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _text(text: str) -> str:
    return escape(printable(text))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(names: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _row(kind: str, cells: Sequence[str]) -> str:
    marked = (f'<td class="number">{cell}</td>' if i else f"<td>{cell}</td>" for i, cell in enumerate(cells))
    return f'<tr class="{kind}">{"".join(marked)}</tr>'


def _check_row(check: Check) -> str:
    sign = "≥" if check.passes == "at_least" else "≤"
    items = "".join(f"<li>{_number(value)} {_text(name)}</li>" for name, value in check.items)
    more = f"<p>{_text(check.why)}</p><p>{_text(check.cure)}</p><ul>{items}</ul>"
    about = (
        f"<details><summary><b>{_text(check.name)}</b> {_text(check.asks)}</summary>{more}</details>"
        f"<small>{_text(check.worst)}</small>"
    )
    verdict = f'<span class="{check.verdict.split()[0]}">{check.verdict}</span>'
    limit = f"{sign} {check.limit:g}<br><small>{_text(check.unit)}</small>"
    return _row("", (about, verdict, _number(check.value), limit))


def _policy_row(policy: Policy) -> str:
    name = f"<details><summary>{_text(policy.name)}</summary>{_text(policy.example)}</details>"
    place = 0.0 if policy.level is None else min(max(policy.level, 0.0), 1.0)
    bar = f'<div class="bar"><i style="left:0;width:{place:.1%}"></i></div>'
    return _row(policy.kind, (name, policy.kind, _number(policy.value), _number(policy.level), bar))


def check_page(out: Path) -> None:
    """Check that the page can be written, before anything is computed.

    Raises:
        InputError: another extension, a folder that is missing or not writable, or a file that is no such page.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: the page is HTML; give a name that ends in .html")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: the folder {str(out.parent)!r} does not exist or is not writable; choose another")
    if out.exists() and (not out.is_file() or b'content="cxr_rewards audit"' not in out.read_bytes()[:500]):
        raise InputError(f"{out}: exists and is not the page of an audit; choose another name")


def write_page(audit: Audit, out: Path) -> None:
    """Write the page, in one step when it is complete.

    Raises:
        OSError: the disk is full, or the like.
    """
    with in_one_step(out) as file:
        file.write(to_html(audit).encode())
