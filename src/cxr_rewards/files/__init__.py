"""Tables of reports on disk: read them as cases, keep progress, write the results.

```
open_table(path) ──► Table ──► choose_columns(table.columns) ──► read_cases(table, column_map) ──► Case, Case, ...
                       │                                                                              │ scored in chunks
                       ▼                                                                              ▼
             write_table(out, table, columns, journal.results()) ◄────────────────────────── journal.append(results)
```

The extension gives the format: `.csv`, `.tsv`, `.jsonl` / `.ndjson`, `.json`, `.parquet` / `.pq`, `.xlsx`; what is text
may be compressed. All but Excel streams: memory does not grow with the number of rows. A row that cannot be read is
reported with its place and does not affect other rows.
"""

from cxr_rewards.files.cases import CaseRow, Placeholders, is_placeholder, read_cases, to_case
from cxr_rewards.files.columns import ColumnMap, choose_cluster, choose_columns
from cxr_rewards.files.details import CaseDetails, read_details
from cxr_rewards.files.existing import SUMS, check_replaceable
from cxr_rewards.files.folder import Folder
from cxr_rewards.files.frames import score_frame, to_frame
from cxr_rewards.files.inputs import Inputs
from cxr_rewards.files.join import JoinedTable
from cxr_rewards.files.journal import Journal
from cxr_rewards.files.open import open_table
from cxr_rewards.files.provenance import Provenance, read_provenance
from cxr_rewards.files.scoring import Scored, score_file
from cxr_rewards.files.table import Row, Table
from cxr_rewards.files.write import check_output, write_table

__all__ = [
    "SUMS",
    "CaseDetails",
    "CaseRow",
    "ColumnMap",
    "Folder",
    "Inputs",
    "JoinedTable",
    "Journal",
    "Placeholders",
    "Provenance",
    "Row",
    "Scored",
    "Table",
    "check_output",
    "check_replaceable",
    "choose_cluster",
    "choose_columns",
    "is_placeholder",
    "open_table",
    "read_cases",
    "read_details",
    "read_provenance",
    "score_file",
    "score_frame",
    "to_case",
    "to_frame",
    "write_table",
]
