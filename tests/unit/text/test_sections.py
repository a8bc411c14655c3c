"""Headings and sections; hostile texts take little time to split."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.findings import reading
from cxr_rewards.text.sections import SECTION_NAMES, is_blank, sections
from cxr_rewards.text.sentences import sentences


def named(text):
    return [(s.name, text[s.start : s.end].strip()) for s in sections(text)]


@given(st.text(alphabet="FINDGSMPREO:findgs \n*#-/().1234aA\u0130\u2022", max_size=200))
def test_sections_are_in_order_and_touch(text):
    parts = sections(text)
    assert all(s.heading_start <= s.start <= s.end <= len(text) for s in parts)
    assert all(a.end == b.heading_start for a, b in itertools.pairwise(parts))
    assert parts == () or parts[-1].end == len(text)
    assert {s.name for s in parts} <= {"", *SECTION_NAMES}


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("FINDINGS:", "findings"),
        ("Findings -", "findings"),
        ("Findings \u2013", "findings"),
        ("findings :", "findings"),
        ("**Findings:**", "findings"),
        ("**Findings**:", "findings"),
        ("## Findings", "findings"),
        ("### FINDINGS:", "findings"),
        ("[FINDINGS]", "findings"),
        ("<findings>", "findings"),
        ("2. Findings:", "findings"),
        ("FINDINGS (PA AND LATERAL VIEWS):", "findings"),
        ("FINDINGS/IMPRESSION:", "findings_impression"),
        ("FINDINGS AND IMPRESSION", "findings_impression"),
        ("Findings & Impression:", "findings_impression"),
        ("IMPRESSION:", "impression"),
        ("IMP:", "impression"),
        ("CONCLUSION", "impression"),
        ("Opinion:", "impression"),
        ("SUMMARY:", "impression"),
        ("Impression and Recommendations:", "impression"),
        ("INDICATION:", "indication"),
        ("REASON FOR EXAMINATION:", "indication"),
        ("Reason for exam:", "indication"),
        ("CLINICAL HISTORY:", "history"),
        ("HISTORY/INDICATION:", "history"),
        ("COMPARISON:", "comparison"),
        ("TECHNIQUE:", "technique"),
        ("EXAMINATION:", "examination"),
        ("RECOMMENDATION(S):", "recommendation"),
        ("RECOMMENDATIONS:", "recommendation"),
        ("ADDENDUM:", "addendum"),
        ("WET READ:", "wet_read"),
        ("FINAL REPORT", "report"),
        ("NOTIFICATION:", "notification"),
    ],
)
def test_known_headings_are_found_at_line_start(heading, name):
    text = f"{heading}\nBody of text here."
    assert named(text) == [(name, "Body of text here.")]
    assert named(f"Before.\n\n{text}") == [("", "Before."), (name, "Body of text here.")]


@given(st.sampled_from(["findings", "impression", "reason for exam", "wet-read"]), st.randoms(use_true_random=False))
def test_a_heading_before_a_colon_may_be_in_any_case(heading, random):
    spelled = "".join(random.choice((c.upper(), c)) for c in heading)
    names = [name for name, _ in named(f"Before. {spelled}: Body\n {spelled}: Body\n**{spelled}**: Body")]
    assert names[0] == ""
    assert len(names) == 4
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "INDICATION: Cough. FINDINGS: Lungs clear. IMPRESSION: Normal.",
            [("indication", "Cough."), ("findings", "Lungs clear."), ("impression", "Normal.")],
        ),
        ("Lungs are clear Impression: Normal", [("", "Lungs are clear"), ("impression", "Normal")]),
        ("LUNGS CLEAR IMPRESSION: NORMAL", [("", "LUNGS CLEAR"), ("impression", "NORMAL")]),
        ("findings : clear . impression : normal .", [("findings", "clear ."), ("impression", "normal .")]),
        ("FINDINGS The lungs are clear.", [("findings", "The lungs are clear.")]),
        ("findings\nlungs clear\n\nimpression\nnormal", [("findings", "lungs clear"), ("impression", "normal")]),
        (
            "FINDINGS: Clear.\r\nCOMPARISON: None.\r\n",
            [("findings", "Clear."), ("comparison", "None.")],
        ),
        ("FINDINGS:\nIMPRESSION: Normal.", [("findings", ""), ("impression", "Normal.")]),
    ],
)
def test_headings_split_a_report(text, expected):
    assert named(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "No significant findings.",
        "The impression is that of a normal chest.",
        "Findings are consistent with edema.",
        "Findings consistent with edema.",
        "There are no additional findings: the chest is normal.",
        "In comparison: the effusion is smaller.",
        "Heart enlarged in\ncomparison to the prior study.",
        "These are the same\nfindings\nas seen before.",
        "IN COMPARISON: SMALLER EFFUSION",
        "Findings suggest edema, impression of fluid overload.",
        "Unremarkable examination. Study is limited.",
        "Findingsx: nothing",
        "",
        "   \n ",
    ],
)
def test_prose_is_no_heading(text):
    assert all(s.name == "" for s in sections(text))


def test_section_positions_hold_in_the_raw_text():
    raw = "Heart\u00a0ok.\r\n\u201cFINDINGS\u201d\r\n\uff26indings: Clear.\r\nImpression:\u00a0Normal"
    last = sections(raw)[-1]
    assert last.name == "impression"
    assert raw[last.heading_start : last.start].startswith("Impression:")
    assert raw[last.start : last.end].strip() == "Normal"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "((" * 50_000,
        "1. " * 33_333,
        "1." * 50_000,
        "FINDINGS: " * 10_000,
        "FINDINGS\n" * 11_111,
        "findings and " * 7_700,
        "findings (" * 10_000,
        "*#" * 50_000,
        "\n" * 100_000,
        " " * 100_000,
        "- " * 50_000,
        ". " * 50_000,
        "." * 100_000,
        "clinical " * 11_111,
        "\u2022" * 100_000,
        "e.g." * 25_000,
        "A" * 60_000 + "\u0130" * 40_000,
        "Findings " * 11_111,
        "lungs. " * 14_285,
        "long. " + "a" * 100_000,
        ". " + " " * 100_000,
        "1) " * 33_333,
        ")" * 100_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_text_takes_little_time(text):
    begin = time.process_time()
    sections(text)
    sentences(text)
    assert time.process_time() - begin < 0.8


@pytest.mark.parametrize("nothing", ["None", "none.", " N/A", "nan", ""])
def test_a_section_that_says_nothing_is_blank_and_no_part_of_the_reading(nothing):
    text = f"Findings: Small left effusion. Impression: {nothing}"
    assert [is_blank(text, section) for section in sections(text)] == [False, True]
    told, alone = reading(text), reading("Findings: Small left effusion.")
    assert (told.findings, told.sentences, told.unread) == (alone.findings, alone.sentences, ())
    turned = reading(f"Findings: {nothing} Impression: No acute disease.")
    assert (turned.sentences, turned.unread) == (1, ())


def test_a_denial_is_not_a_blank_section():
    text = "Findings: None acute. Impression: No."
    assert [is_blank(text, section) for section in sections(text)] == [False, False]


@pytest.mark.parametrize("blank", [" ", " \n", ".", ". "])
def test_a_section_of_many_blanks_takes_linear_time(blank):
    text = f"Impression: clear. Findings:{blank * 50_000}x"
    start = time.process_time()
    assert [is_blank(text, section) for section in sections(text)] == [False] * 2
    assert time.process_time() - start < 15
