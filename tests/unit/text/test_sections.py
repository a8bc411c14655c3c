import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_rewards.text.sections import SECTION_NAMES, sections
from cxr_rewards.text.sentences import sentences
from cxr_rewards.text.tidy import lower, tidy


def named(text):
    return [(s.name, text[s.start : s.end].strip()) for s in sections(text)]


def cut(text):
    return [text[a:b] for a, b in sentences(text)]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("A\r\nB\rC", "A \nB\nC"),
        ("heart\u00a0size\u2009normal\u200b", "heart size normal "),
        ("\u201cclear\u201d lungs\u2014patient\u2019s", '"clear" lungs-patient\'s'),
        ("5 \u00d7 3 mm", "5 x 3 mm"),
        ("\uff26\uff29\uff2e\uff24\uff29\uff2e\uff27\uff33\uff1a", "FINDINGS:"),
        ("\u25cf Clear", "\u2022 Clear"),
    ],
)
def test_tidy_makes_plain_characters(raw, plain):
    assert tidy(raw) == plain


@given(st.text())
def test_tidy_and_lower_keep_length(text):
    assert len(tidy(text)) == len(text)
    assert len(lower(text)) == len(text)
    assert tidy(tidy(text)) == tidy(text)


@given(st.text(alphabet="FINDGSMPREO:findgs \n*#-/().1234aA\u0130\u2022", max_size=200))
def test_sections_are_in_order_and_touch(text):
    found = sections(text)
    assert all(s.heading_start <= s.start <= s.end <= len(text) for s in found)
    assert all(a.end == b.heading_start for a, b in itertools.pairwise(found))
    assert found == () or found[-1].end == len(text)
    assert {s.name for s in found} <= {"", *SECTION_NAMES}


@given(st.text(alphabet="aA1 .\n,;!-*)(\u2022Dr", max_size=200))
def test_sentences_are_in_order_and_lose_no_letter(text):
    spans = sentences(text)
    assert all(a < b for a, b in spans)
    assert all(x[1] <= y[0] for x, y in itertools.pairwise(spans))
    kept = "".join(text[a:b] for a, b in spans)
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]


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
    ("text", "expected"),
    [
        ("Lungs clear. Heart normal.", ["Lungs clear.", "Heart normal."]),
        ("lungs clear . heart normal .", ["lungs clear .", "heart normal ."]),
        ("Seen by Dr. Example. No change.", ["Seen by Dr. Example.", "No change."]),
        ("Seen by Dr. ___ at 9 a.m. on ___.", ["Seen by Dr. ___ at 9 a.m. on ___."]),
        ("Edema vs. pneumonia, e.g. viral.", ["Edema vs. pneumonia, e.g. viral."]),
        ("Nodule of approx. 1.2 cm. in size.", ["Nodule of approx. 1.2 cm. in size."]),
        ("Nodule of 1.2 cm. No effusion.", ["Nodule of 1.2 cm.", "No effusion."]),
        ("A 5 x 3 mm nodule.", ["A 5 x 3 mm nodule."]),
        ("Rib No. 5 is broken. Is there pain? No.", ["Rib No. 5 is broken.", "Is there pain?", "No."]),
        (
            "Measures Approx. 3 mm in diameter. Seen by Prof. Example.",
            ["Measures Approx. 3 mm in diameter.", "Seen by Prof. Example."],
        ),
        ("Lungs clear. heart normal", ["Lungs clear.", "heart normal"]),
        ("(Lungs clear.) Heart normal", ["(Lungs clear.)", "Heart normal"]),
        ("Lungs clear... heart normal", ["Lungs clear... heart normal"]),
        ("9) Clear lungs 10) Normal heart 100) mm", ["Clear lungs", "Normal heart 100) mm"]),
        ("1. Clear lungs. 2. Normal heart.", ["Clear lungs.", "Normal heart."]),
        ("1. Clear lungs 2. Normal heart", ["Clear lungs", "Normal heart"]),
        ("1) Clear lungs 2) Normal heart", ["Clear lungs", "Normal heart"]),
        ("1.Clear lungs.2.Normal heart.", ["Clear lungs.", "Normal heart."]),
        ("- Clear lungs\n- Normal heart", ["Clear lungs", "Normal heart"]),
        ("\u2022 Clear lungs \u2022 Normal heart", ["Clear lungs", "Normal heart"]),
        ("Opacity in the apex.There is scarring.", ["Opacity in the apex.", "There is scarring."]),
        ("XXXX opacity. XXXX XXXX. Clear.", ["XXXX opacity.", "XXXX XXXX.", "Clear."]),
        ("LUNGS CLEAR. HEART NORMAL.", ["LUNGS CLEAR.", "HEART NORMAL."]),
        ("No effusion\n\nheart normal", ["No effusion", "heart normal"]),
        ("There is no focal\nconsolidation or effusion.", ["There is no focal\nconsolidation or effusion."]),
        ("Lungs clear\nHeart normal", ["Lungs clear", "Heart normal"]),
        ("Clear.. Normal...", ["Clear..", "Normal..."]),
        ("Since 2010. Stable.", ["Since 2010.", "Stable."]),
        ("...", []),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert cut(text) == expected


def test_wrapped_line_with_a_proper_noun_is_one_sentence():
    text = "The tip of the catheter that enters from the right side of the neck\nSwan Ganz ends in the main artery."
    assert cut(text) == [text]


def test_sentences_of_a_part_of_the_text_keep_its_positions():
    text = "FINDINGS: Lungs clear. Heart normal. IMPRESSION: Normal."
    findings = sections(text)[0]
    assert [text[a:b] for a, b in sentences(text, findings.start, findings.end)] == ["Lungs clear.", "Heart normal."]


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
