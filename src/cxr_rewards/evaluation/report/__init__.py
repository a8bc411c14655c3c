"""One HTML page about the scores of one system or several.

```
files of scores -> compare, evaluate -> sections (one file each) -> Page (blocks.py) -> page.py, page.html, style.css
```

Sections turn numbers into blocks; only the template knows HTML.
"""

from __future__ import annotations

from cxr_rewards.evaluation.report.build import ReportOptions, build_report
from cxr_rewards.evaluation.report.write import check_page, write_page

__all__ = ["ReportOptions", "build_report", "check_page", "write_page"]
