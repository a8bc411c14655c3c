"""The rule-based clinical reader: from a report to its findings.

`read` finds them and `merge` joins the mentions of each; what it knows is in `ontology/`, `anatomy.toml`,
`language.toml` and `significance.toml`, which a clinician can read and extend.
"""

from cxr_rewards.findings.finding import CHANGES, MANY, SEVERITIES, Finding
from cxr_rewards.findings.matching import Comparison, Difference, Match, compare
from cxr_rewards.findings.ontology import CHEXPERT, SIGNIFICANCES, Observation, Ontology, data_digest, ontology
from cxr_rewards.findings.reader import READ_SECTIONS, read
from cxr_rewards.findings.report import Report, merge, regions, silent
from cxr_rewards.findings.significance import misplaced, significance

__all__ = [
    "CHANGES",
    "CHEXPERT",
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
    "Report",
    "compare",
    "data_digest",
    "merge",
    "misplaced",
    "ontology",
    "read",
    "regions",
    "significance",
    "silent",
]
