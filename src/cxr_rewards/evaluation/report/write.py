"""Write the page, never over a file that is something else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from cxr_rewards.errors import InputError
from cxr_rewards.evaluation.report.blocks import Page
from cxr_rewards.evaluation.report.page import to_html
from cxr_rewards.files.write import in_one_step

_MARK = b'<meta name="generator" content="cxr_rewards'
_HEAD_BYTES = 2_000


def check_page(out: Path, inputs: Iterable[Path], *, force: bool) -> None:
    """Check that a page can be written, before anything is computed.

    Args:
        out: the page.
        inputs: files that are read.
        force: replace a file that is not such a page.

    Raises:
        InputError: another extension, a folder that is missing or not writable, an input, or a file that is not such a
            page.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{out}: the report is a page; give a name that ends in .html")
    if out.is_dir():
        raise InputError(f"{out}: is a folder; give a file")
    if not out.parent.is_dir():
        raise InputError(f"{out}: the folder {str(out.parent)!r} does not exist; create it first")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: the folder {str(out.parent)!r} is not writable; choose another output")
    if any(out.resolve() == path.resolve() for path in inputs):
        raise InputError(f"{out}: is an input; give the page another file")
    if out.exists() and out.stat().st_size and not force:
        with out.open("rb") as file:
            if _MARK not in file.read(_HEAD_BYTES):
                raise InputError(
                    f"{out}: exists and is not a report, so it is not overwritten; give another output, or --force"
                )


def write_page(out: Path, page: Page) -> None:
    """Write a page as HTML, in one step when it is complete.

    Raises:
        MissingDependencyError: jinja2 is not installed.
        OSError: the disk is full, or the like.
    """
    html = to_html(page).encode()
    with in_one_step(out) as file:
        file.write(html)
