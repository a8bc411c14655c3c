"""Files of the form in which published judges keep their prompts; the words are our own."""

from __future__ import annotations

import json
from pathlib import Path

CHEXPROMPT = '''
"""Counts errors."""

import openai

SYSTEM_INSTRUCTIONS = "You count errors of reports."

USER_INSTRUCTIONS = """Compare the candidate with the reference.
Answer: Number of clinically significant errors by type: [(A, n), ...]

"""

EXAMPLES = [
    {"reference": "Clear lungs.", "candidate": "Edema.", "answer": "[(A, 1), (B, 0)]"},
    {"reference": "Edema.", "candidate": "Edema.", "answer": "[(A, 0), (B, 0)]"},
]
EXAMPLES_FORMATTED = "\\n".join(
    f"Reference: {example['reference']}\\nCandidate: {example['candidate']}\\n{example['answer']}\\n" for example in EXAMPLES
)


class ReportEvaluator:
    def __init__(self, engine="gpt-4", temperature=0):
        self.client = openai.OpenAI()
        self.engine = engine

    def format_full_prompt(self, reference, candidate):
        return USER_INSTRUCTIONS + EXAMPLES_FORMATTED + f"\\nReference: {reference}\\nCandidate: {candidate}\\n"
'''

GREEN = '''
import torch


def clean_responses(response):
    return response.replace("</s>", "")


def make_prompt(text1, text2, max_len=300):
    """Return the prompt.

    Args:
        text1 (str): Reference radiology report.
    """
    text1 = " ".join(text1.split()[:max_len])
    text2 = " ".join(text2.split()[:max_len])
    prompt = f"Objective: compare two reports.\\n\\n    1. Criteria:\\n    a) false finding.\\n\\n    2. Reference Report:\\n    {text1}\\n\\n    3. Candidate Report:\\n    {text2}\\n\\n    4. Your answer:\\n    [Matched Findings]:\\n"
    return prompt
'''

PHRASES_SYSTEM = "Split the report into phrases.\n\nRules:\n- One statement each.\n"
PHRASES_EXAMPLES = [
    {
        "example_id": "1",
        "findings_text": "Small effusion and edema. No pneumothorax.",
        "parsed_report": {
            "id": "1",
            "sentence_list": [
                {"orig": "Small effusion and edema.", "new": ["Small effusion.", "Edema."]},
                {"orig": "No pneumothorax.", "new": ["No pneumothorax."]},
            ],
        },
    },
    {
        "example_id": "2",
        "findings_text": "As above.",
        "parsed_report": {"id": "2", "sentence_list": [{"orig": "As above.", "new": []}]},
    },
]
ENTAILMENT_SYSTEM = "Say whether the reference entails the hypothesis.\n"
ENTAILMENT_EXAMPLES = [
    {
        "example_id": "1",
        "input": {"phrases_A": ["Edema.", "Clear: no effusion."], "phrases_B": ["Mild edema."]},
        "output": {
            "phrases_A_evidenced": [
                {"evidence": ["Mild edema."], "phrase": "Edema.", "status": "entailment"},
                {"evidence": [], "phrase": "Clear: no effusion.", "status": "neutral"},
            ],
            "phrases_B_evidenced": [{"evidence": ["Edema."], "phrase": "Mild edema.", "status": "contradiction"}],
        },
    }
]


def write_checkouts(folder: Path) -> dict[str, Path]:
    """Write a checkout of each judge whose prompt is added by the user, and return their folders by name."""
    radfact = "RadFact/src/radfact/llm_utils"
    files = {
        "chexprompt/src/chexprompt/evaluator.py": CHEXPROMPT,
        "GREEN/green_score/utils.py": GREEN,
        "GREEN/utils.py": "",
        f"{radfact}/report_to_phrases/prompts/system_message.txt": PHRASES_SYSTEM,
        f"{radfact}/report_to_phrases/prompts/few_shot_examples.json": json.dumps(PHRASES_EXAMPLES),
        f"{radfact}/nli/prompts/system_message_ev_singlephrase.txt": ENTAILMENT_SYSTEM,
        f"{radfact}/nli/prompts/few_shot_examples.json": json.dumps(ENTAILMENT_EXAMPLES),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {"chexprompt": folder / "chexprompt", "green": folder / "GREEN", "radfact": folder / "RadFact"}
