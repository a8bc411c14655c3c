"""What holds for any text, report or not: what a policy model writes is hostile input."""

import math
import string
import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cxr_rewards.components.findings_score import FindingsScore
from cxr_rewards.findings import CHANGES, MANY, Finding, compare, merge, ontology, read, reader
from cxr_rewards.findings.ontology.model import OTHERWISE
from cxr_rewards.text.sections import sections
from cxr_rewards.text.sentences import sentences

pytestmark = pytest.mark.slow

KNOWN = ontology()
SWAPPED = str.maketrans(
    string.ascii_uppercase + string.ascii_lowercase, string.ascii_lowercase + string.ascii_uppercase
)


def phrases_by_kind():
    """Return every phrase that the reader knows."""
    by_kind = {}
    nodes = [((), KNOWN.phrases)]
    while nodes:
        words, node = nodes.pop()
        for word, below in node.items():
            if word == OTHERWISE:
                continue
            if word:
                nodes.append(((*words, word), below))
            else:
                by_kind.setdefault(below[0], []).append(" ".join(words))
    return by_kind


PHRASES = [st.sampled_from(phrases) for phrases in phrases_by_kind().values()]
MEASURES = st.sampled_from(["8 mm", "1.2 cm", "3 x 2 cm", "0 mm", "2-4 mm", "1 to 2 cm", "9999 cm", "12", "1.", "2)"])
OTHER_WORDS = st.sampled_from(["is", "the", "seen", "XXXX", "which", "pneumothroax", "Dr.", "it measures", "___"])
WORDS = st.one_of(*PHRASES, MEASURES, OTHER_WORDS)
IN_SENTENCE = st.sampled_from(
    [" ", " ", " ", " ", "_", ", ", " and ", " or ", " (", ") ", "; ", ": ", " - ", "/", " [", "] "]
)
BETWEEN = st.sampled_from(
    [". ", ".", "\n", "\n\n", "\r\n", " \u2022 ", "\n- ", "? ", "\nIMPRESSION: ", " FINDINGS: ", "\nComparison: "]
)
SENTENCES = st.lists(st.tuples(WORDS, IN_SENTENCE), max_size=12).map(lambda parts: "".join(map("".join, parts)))
REPORTS = st.lists(st.tuples(SENTENCES, BETWEEN), max_size=6).map(lambda parts: "".join(map("".join, parts)))
NOISE = st.text(st.characters(), max_size=30)
SPOILED = st.lists(st.one_of(WORDS, IN_SENTENCE, BETWEEN, NOISE), max_size=20).map("".join)
ANYTHING = st.one_of(NOISE, REPORTS, SPOILED)

SIDES = ("", "left", "right", "bilateral")
LINEAGES = sorted((name, *found.ancestors) for name, found in KNOWN.observations.items() if len(found.ancestors) > 1)
POLARITIES = st.sampled_from(["present", "possible", "absent"])
PLACES = st.sampled_from([(), ("base",), ("apex",)])


def kin(lineage):
    """Draw mentions of an observation and of what it is a kind of, as a report may have them."""
    mention = st.tuples(st.sampled_from(lineage), POLARITIES, st.sampled_from(SIDES), PLACES)
    mentions = st.lists(mention, max_size=6)
    return mentions.map(lambda ms: [Finding(*m, start=2 * i, end=2 * i + 1) for i, m in enumerate(ms)])


HOSTILE = {
    "letters": "a" * 100_000,
    "one finding": "effusion" * 12_500,
    "list of findings": "left nodule, " * 7_700,
    "list joined by or": "effusion or " * 8_300,
    "list joined by and": "effusion and " * 7_700,
    "nothing but and": "and " * 25_000,
    "nothing but no": "no " * 33_333,
    "commas": "," * 100_000,
    "opened brackets": "(" * 100_000,
    "brackets": "(effusion) [" * 8_300,
    "digits": "8" * 100_000,
    "decimals": "1.2" * 33_333,
    "measures": "8 mm " * 20_000,
    "measured nodules": "8 x 8 x 8 mm nodule " * 5_000,
    "sides": "left right " * 9_000,
    "degrees": "mild to moderate " * 5_800,
    "headings": "FINDINGS: " * 10_000,
    "headings in prose": "findings and impression " * 4_000,
    "headings of other parts": "COMPARISON: effusion. " * 4_500,
    "sentences": "Left effusion. No effusion. " * 3_500,
    "remarks": "It measures 8 mm. " * 5_500,
    "line feeds": "\n" * 100_000,
    "surrogates": "\ud800\udc00" * 50_000,
    "dotted capital i": "\u0130" * 100_000,
    "misspelled": "pneumothroax effussion " * 4_300,
    "questions": "a? " * 33_000,
    "questions about a finding": "effusion? " * 10_000,
    "unknown labels": "a: " * 33_000,
    "marks behind a value": "Effusion: none " + "Heart (-) " * 10_000,
    "words in two senses": "a smaller nodule of increased density " * 2_600,
}


def assert_fields_are_as_documented(finding: Finding):
    assert finding.observation in KNOWN.observations
    assert finding.polarity in ("present", "absent", "possible")
    assert finding.side in SIDES
    assert finding.severity == 0 or 1 <= finding.severity <= 5
    assert 0 <= finding.size_mm < math.inf
    assert 0 <= finding.number <= MANY
    assert finding.change in ("", *CHANGES)
    for names in (finding.places, finding.descriptors, finding.positions):
        assert isinstance(names, tuple)
        assert names == tuple(sorted(names))
    assert isinstance(finding.implied, bool)


def assert_read_well(text, found):
    """Check a report's findings against its text: fields, spans, order."""
    for finding in found:
        assert_fields_are_as_documented(finding)
        assert 0 <= finding.start < finding.end <= len(text)
    within = [(a, b) for part in sections(text) for a, b in sentences(text, part.start, part.end)]
    at = [next(i for i, (a, b) in enumerate(within) if a <= f.start and f.end <= b) for f in found]
    assert at == sorted(at), "each finding lies in one sentence, and the sentences come in order"


def assert_joined_well(found):
    """Check what a report says in all against its findings, and that it agrees with itself."""
    report = merge(found)
    assert all(f.polarity != "absent" and f.observation != "comparison" for f in report.abnormal)
    assert all(f.polarity == "absent" for f in report.absent)
    assert {id(f) for f in report.contradicted} <= {id(f) for f in report.abnormal}
    assert {f.observation for f in report.abnormal} <= {f.observation for f in found}
    assert [f.start for f in report.abnormal] == sorted(f.start for f in report.abnormal)
    for finding in report.abnormal:
        assert_fields_are_as_documented(finding)
    same = compare(report, report)
    assert not same.missed
    assert not same.false
    assert not same.contradicted
    assert all(match.differences == () for match in same.matched)


@settings(deadline=None, max_examples=120)
@given(ANYTHING)
@example("")
@example("\ud800")
@example("\x00")
def test_any_text_is_read(text):
    found = read(text)
    assert_read_well(text, found)
    assert_joined_well(found)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(LINEAGES).flatmap(kin))
@example(
    [
        Finding("interstitial_opacity", "present", "left", ("apex",), start=0, end=1),
        Finding("interstitial_opacity", "present", "", ("base",), start=2, end=3),
        Finding("lung_opacity", "present", "", ("apex",), start=4, end=5),
        Finding("lung_opacity", "present", "bilateral", ("base",), start=6, end=7),
    ]
)
def test_mentions_of_one_family_are_joined(found):
    assert_joined_well(found)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_long_hostile_text_is_read_in_time(text):
    begin = time.process_time()
    found = read(text)
    report = merge(found)
    compare(report, report)
    assert time.process_time() - begin < 5
    assert all(0 <= f.start < f.end <= len(text) for f in found)


@settings(deadline=None, max_examples=80)
@given(ANYTHING)
def test_reading_does_not_depend_on_what_was_read_before(text):
    found = read(text)
    assert read(text) == found
    reader._remembered.cache_clear()
    assert read(text) == found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_remembered", reader._read_sentence)
        assert read(text) == found


@settings(deadline=None, max_examples=80)
@given(st.one_of(SENTENCES, ANYTHING))
def test_case_matters_to_the_ends_of_sentences_and_headings_only(text):
    other = text.translate(SWAPPED)
    parts = sections(text)
    assume(parts == sections(other))
    assume(all(sentences(text, p.start, p.end) == sentences(other, p.start, p.end) for p in parts))
    assert read(other) == read(text)


@settings(deadline=None, max_examples=80)
@given(REPORTS, REPORTS)
def test_swapping_two_reports_swaps_what_is_missed_and_false(one, two):
    first, second = merge(read(one)), merge(read(two))
    assume(not (first.contradicted or second.contradicted))  # what a candidate takes back has no partner
    there, back = compare(first, second), compare(second, first)
    assert len(there.matched) == len(back.matched)
    assert len(there.missed) == len(back.false)
    assert len(there.false) == len(back.missed)


@settings(deadline=None, max_examples=80)
@given(ANYTHING, ANYTHING)
def test_every_pair_has_a_score_within_bounds_or_a_reason(candidate, reference):
    score = FindingsScore().score(candidate, reference)
    if score.value is None:
        assert score.failure is not None
    else:
        assert -1 <= score.value <= 1


@settings(deadline=None, max_examples=60)
@given(REPORTS)
def test_a_report_against_itself_has_the_best_score(text):
    assume(read(text))
    score = FindingsScore(denial_cost=0).score(text, text)
    assert score.value == pytest.approx(1)
