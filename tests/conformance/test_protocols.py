"""The parser of every built-in judge keeps every rule of a protocol."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import isabstract

from cxr_rewards.judges.official.chexprompt_official import ChexpromptOfficialReply
from cxr_rewards.judges.official.crimson_official import CrimsonOfficialReply
from cxr_rewards.judges.official.green_official import GreenOfficialReply
from cxr_rewards.judges.official.radfact_official import RadfactOfficialEntailment, RadfactOfficialPhrases
from cxr_rewards.judges.protocols.chexprompt import ChexpromptReply
from cxr_rewards.judges.protocols.crimson import CrimsonReply, CrimsonVerdict
from cxr_rewards.judges.protocols.fineradscore import Correction, FineradscoreReply
from cxr_rewards.judges.protocols.green import GreenReply, GreenVerdict
from cxr_rewards.judges.protocols.radfact import RadfactEntailment, RadfactPhrases
from cxr_rewards.judges.protocols.rubric import RubricReply
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.testing import Protocol, parametrize_with_checks, protocol_checks


def chexprompt_lines(a):
    pairs = f"(A, {a}), (B, 0), (C, 0), (D, 0), (E, 0), (F, 0)"
    none = pairs.replace(str(a), "0", 1)
    return (
        f"Number of clinically significant errors by type: [{pairs}]\n"
        f"Number of clinically insignificant errors by type: [{none}]"
    )


def chexprompt_counts(a):
    return {"significant": {**dict.fromkeys("ABCDEF", 0), "A": a}, "insignificant": dict.fromkeys("ABCDEF", 0)}


def green_sections(missed, matched):
    return (
        "[Explanation]:\nThe effusion is missing.\n\n"
        f"[Clinically Significant Errors]:\n{f'(b) Missing a finding: {missed}. x; y' if missed else 'No errors'}\n\n"
        f"[Clinically Insignificant Errors]:\nNo errors\n\n[Matched Findings]:\n{matched}. A; B; C"
    )


def green_counts(missed, matched):
    none = dict.fromkeys("abcdef", 0)
    return GreenVerdict({**none, "b": missed}, none, matched)


def crimson_json(missed):
    finding = {"id": "R1", "finding": "effusion", "clinical_significance": "urgent"}
    return json.dumps({
        "reference_findings": [finding] if missed else [], "predicted_findings": [], "matched_findings": [],
        "errors": {"false_findings": [], "missing_findings": ["R1"] if missed else [], "attribute_errors": []},
    })  # fmt: skip


ERROR = {"type": "A", "significant": True, "what": "no edema"}
CORRECTION = {"line": 2, "type": "A", "severity": "urgent", "correction": "", "comment": "no edema"}
MARKS = RubricReply(model="m", criteria=("omissions: nothing is missing", "style: it is plain"))
PROTOCOLS = {
    ChexpromptReply: Protocol(
        name="chexprompt_reply",
        parse=ChexpromptReply.parse,
        replies={
            json.dumps({"errors": [ERROR]}): chexprompt_counts(1),
            json.dumps({"errors": []}): chexprompt_counts(0),
            chexprompt_lines(2): chexprompt_counts(2),
            chexprompt_lines(0): chexprompt_counts(0),
        },
        refused=[chexprompt_lines(51), chexprompt_lines(1).replace("F", "G")],
    ),
    GreenReply: Protocol(
        name="green_reply",
        parse=GreenReply.parse,
        replies={green_sections(2, 3): green_counts(2, 3), green_sections(0, 1): green_counts(0, 1)},
        refused=[green_sections(2, 3).replace("3. A", "some"), green_sections(2, 3).replace("(b)", "(g)")],
    ),
    CrimsonReply: Protocol(
        name="crimson_reply",
        parse=CrimsonReply.parse,
        replies={crimson_json(True): CrimsonVerdict((), (1.0,), ()), crimson_json(False): CrimsonVerdict((), (), ())},
        refused=[crimson_json(True).replace("urgent", "grave"), crimson_json(True).replace('["R1"]', '["R2"]')],
    ),
    FineradscoreReply: Protocol(
        name="fineradscore_reply",
        parse=lambda reply: FineradscoreReply.corrections(reply, 2),
        replies={
            '{"corrections": []}': [],
            json.dumps({"corrections": [CORRECTION]}): [Correction(2, "A", "urgent", "", "no edema")],
        },
        refused=[
            json.dumps({"corrections": [CORRECTION, CORRECTION]}),
            json.dumps({"corrections": [{**CORRECTION, "line": 3}]}),
            json.dumps({"corrections": [{**CORRECTION, "severity": "grave"}]}),
        ],
    ),
    RadfactPhrases: Protocol(
        name="radfact_phrases",
        parse=RadfactPhrases.parse,
        replies={'{"phrases": ["Edema.", " "]}': ["Edema."], '{"phrases": []}': []},
        refused=['{"phrases": [1]}', json.dumps({"phrases": ["x"] * 101})],
    ),
    RadfactEntailment: Protocol(
        name="radfact_entailment",
        parse=lambda reply: RadfactEntailment.truths(reply, 1),
        replies={
            '{"verdicts": [{"phrase": 1, "entailed": true}]}': [True],
            '{"verdicts": [{"phrase": 1, "entailed": false}]}': [False],
        },
        refused=['{"verdicts": []}', '{"verdicts": [{"phrase": 2, "entailed": true}]}'],
    ),
    RubricReply: Protocol(
        name="rubric_reply",
        parse=MARKS.marks,
        replies={
            '{"omissions": 5, "style": 2.5}': {"omissions": 5.0, "style": 2.5},
            '{"omissions": 0, "style": 10}': {"omissions": 0.0, "style": 10.0},
        },
        refused=['{"omissions": 5, "style": 11}', '{"omissions": 5}', '{"omissions": 5, "style": true}'],
    ),
}


# The default reading of a published judge's replies is that of the protocol.
OFFICIAL = {
    ChexpromptOfficialReply: ChexpromptReply,
    CrimsonOfficialReply: CrimsonReply,
    GreenOfficialReply: GreenReply,
}
PROTOCOLS |= {cls: replace(PROTOCOLS[same], name=cls.name, parse=cls.parse) for cls, same in OFFICIAL.items()}


IN_YAML = {
    RadfactOfficialPhrases: Protocol(
        name="radfact_official_phrases",
        parse=RadfactOfficialPhrases.parse,
        replies={"- orig: A.\n  new:\n  - A.": ["A."], "- orig: A and b.\n  new:\n  - A.\n  - B.": ["A.", "B."]},
        refused=["- orig: A.\n  new: A.", "- A."],
    ),
    RadfactOfficialEntailment: Protocol(
        name="radfact_official_entailment",
        parse=RadfactOfficialEntailment.parse,
        replies={
            "phrase: A.\nstatus: entailment\nevidence: []": True,
            "phrase: A.\nstatus: not_entailment\nevidence: []": False,
        },
        refused=["phrase: A.\nstatus: neutral\nevidence: []", "phrase: A.\nstatus: entailment"],
    ),
}
WHOLE = {
    "reads_replies_with_words_around": "a reply in YAML must be whole, or in a fence",
    "ignores_quoted_verdicts": "words before YAML make it unreadable",
}
OF_LISTS = {
    "refuses_empty_replies": "an empty list is a split without phrases",
    "refuses_several_verdicts": "two lists in YAML are one list",
    "refuses_truncated_replies": "a list in YAML has no end",
}


@parametrize_with_checks(*map(protocol_checks, PROTOCOLS.values()))
def test_protocol_conforms(check):
    check()


@parametrize_with_checks(protocol_checks(IN_YAML[RadfactOfficialEntailment]), expected_failed_checks=WHOLE)
def test_verdicts_in_yaml_conform(check):
    check()


@parametrize_with_checks(protocol_checks(IN_YAML[RadfactOfficialPhrases]), expected_failed_checks={**WHOLE, **OF_LISTS})
def test_lists_in_yaml_conform(check):
    check()


def test_every_built_in_protocol_is_checked():
    built_in = {cls for cls in _subclasses(JudgeReply) if cls.__module__.startswith("cxr_rewards.")}
    assert {*PROTOCOLS, *IN_YAML} == {cls for cls in built_in if not isabstract(cls)}


def _subclasses(cls):
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)
