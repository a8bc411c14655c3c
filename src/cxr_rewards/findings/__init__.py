"""The rule-based clinical reader: from a report to its findings.

`read` finds them, `merge` joins the mentions of each, `compare` matches those of two reports. Its knowledge is in
`data/`, which a clinician can read and extend. `docs/reading-reports.md` describes the steps.
"""

from cxr_rewards.findings.differences import Difference
from cxr_rewards.findings.finding import CERTAINTIES, CHANGES, DENIED, MANY, SEVERITIES, Finding
from cxr_rewards.findings.matching import Comparison, Match, compare
from cxr_rewards.findings.ontology import CHEXPERT, SIGNIFICANCES, Observation, Ontology, data_digest, ontology
from cxr_rewards.findings.places import regions
from cxr_rewards.findings.reader import READ_SECTIONS, Reading, read, reading
from cxr_rewards.findings.report import Report, merge, silent
from cxr_rewards.findings.significance import misplaced, significance

__all__ = [
    "CERTAINTIES",
    "CHANGES",
    "CHEXPERT",
    "DENIED",
    "MANY",
    "READ_SECTIONS",
    "SEVERITIES",
    "SIGNIFICANCES",
    "Comparison",
    "Difference",
    "Finding",
    "Match",
    "Observation",
    "Ontology",
    "Reading",
    "Report",
    "compare",
    "data_digest",
    "merge",
    "misplaced",
    "ontology",
    "read",
    "reading",
    "regions",
    "significance",
    "silent",
]
