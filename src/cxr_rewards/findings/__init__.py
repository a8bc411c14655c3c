"""The rule-based clinical reader: from a report to its findings.

`read` finds them; what it knows is in `ontology.toml` and `language.toml`, which a clinician can read and extend.
"""

from cxr_rewards.findings.ontology import Observation, Ontology, ontology
from cxr_rewards.findings.reader import READ_SECTIONS, Finding, read

__all__ = ["READ_SECTIONS", "Finding", "Observation", "Ontology", "ontology", "read"]
