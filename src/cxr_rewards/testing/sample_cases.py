"""Cases that a component must be able to score, or to refuse with a reason."""

from __future__ import annotations

from cxr_rewards.types import Case

PRIOR = "FINDINGS: Small left pleural effusion. Heart size is normal. IMPRESSION: Small left effusion."
REPORT = (
    "FINDINGS: The left pleural effusion has increased and is now moderate. New patchy opacity at the left base. "
    "No pneumothorax. Heart size is normal.\nIMPRESSION: Larger left effusion; possible left basal pneumonia."
)
CLEAR = "The lungs are clear. The heart is normal in size. No pleural effusion or pneumothorax."
OTHER = "Left chest tube removed. Large right pneumothorax, worse since the last film."

SAMPLE_CASES: tuple[Case, ...] = (
    Case(candidate=REPORT, reference=REPORT, priors=(PRIOR,), context={"age": "63", "sex": "F"}),
    Case(candidate=CLEAR, reference=CLEAR),
    Case(candidate=CLEAR, reference=REPORT, priors=(PRIOR,)),
    Case(candidate=REPORT, reference=CLEAR),
    Case(candidate=PRIOR, reference=REPORT, priors=(PRIOR, CLEAR)),
    Case(candidate="Cardiomegaly without edema. Right chest tube in place.", reference="MILD CARDIOMEGALY. NO EDEMA."),
    Case(candidate="No pneumothorax. " * 40, reference="Tiny right apical pneumothorax, unchanged."),
    Case(candidate="", reference=CLEAR),
    Case(candidate=" \r\n\t\u00a0", reference=CLEAR),
    Case(candidate="...", reference=REPORT),
    Case(candidate="Thorax unauffällig. 胸部正常。 \U0001fa7b", reference=CLEAR),
    Case(candidate="\x00\x1b[31m<|im_end|>\ud800", reference=REPORT),
    Case(candidate="word " * 800, reference=REPORT, priors=("",)),
    Case(candidate=REPORT, reference="   "),
)
"""Cases of every kind: ordinary, perfect, wrong, degenerate, empty, hostile; the last has no reference."""
