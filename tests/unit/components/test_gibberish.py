"""How much of a text no report would have."""

from __future__ import annotations

import time

import pytest

from cxr_rewards.components.gibberish import Gibberish

REPORT = "Small left effusion. The heart is not enlarged. No pneumothorax."


def value(candidate, reference=REPORT):
    return Gibberish().score(candidate, reference).value


@pytest.mark.parametrize(
    "text",
    [
        REPORT,
        "PA and lateral views were obtained. The physician was called at 3 pm. Follow-up is recommended. Normal heart.",
        "FINDINGS: Mediastinal contours within normal limits.\nIMPRESSION: 1. No acute disease.",
        "| Heart | normal |\n[ ] effusion\nEffusion (-). Pneumothorax > 2 cm: no. # none.",
    ],
)
def test_what_reports_say_costs_nothing(text):
    assert value(text, "Normal chest.") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "The parrot votes on a velvet tariff.",
        "Effusion blarney dolomite wexel frumious.",
        "Die Lunge ist frei belüftet und das Zwerchfell glatt.",
        "I am happy to help you with any further questions about cooking.",
        "<b>##</b> {{report}} </s> </s>",
    ],
)
def test_what_no_report_says_costs_its_share(text):
    assert value(f"{REPORT} {text}") > 0.1
    assert value(f"{REPORT} {text} {text}") > value(f"{REPORT} {text}")


@pytest.mark.parametrize(
    "text",
    [
        "The shape of the chest is a little unusual.",
        "Someone should ring the ward at once.",
        "The picture is a little dark, but good enough to answer the question.",
        "Nothing here explains the pain.",
    ],
)
def test_an_english_statement_that_is_not_understood_costs_nothing(text):
    assert value(f"{REPORT} {text}") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "Of the is chest shape unusual little.",
        "Shape shape picture picture are dark dark.",
        "Dark chest picture shape somebody unusual.",
        "A picture of are by a shape.",
    ],
)
def test_the_same_words_in_disorder_cost(text):
    assert value(f"{REPORT} {text}") > 0.1


def test_what_the_reference_says_is_report_text():
    strange = f"{REPORT} The wexel is florbid."
    assert value(strange) > 0
    assert value(strange, strange) == 0.0


def test_details_count_words_and_name_the_places():
    text = f"{REPORT} Bunny quartz xanthol."
    score = Gibberish().score(text, REPORT)
    assert score.details["words"] == 13
    assert score.details["counted"] == 3
    assert [text[start:end] for start, end in score.details["sentences"]] == ["Bunny quartz xanthol."]
    assert score.value == pytest.approx(3 / 13)


def test_ordinary_words_of_a_sentence_that_is_not_understood_count_half():
    score = Gibberish().score(f"{REPORT} And within or of which lung.", REPORT)
    assert score.details["counted"] == 3.0
    assert score.value == pytest.approx(3 / 16)


def test_a_text_without_words_has_no_share():
    assert value("") == value("... 12 !") == 0.0


def test_time_grows_in_proportion_to_the_text():
    def seconds(times):
        start = time.perf_counter()
        value("The wexel is florbid. " * times)
        return time.perf_counter() - start

    seconds(100)
    assert seconds(20_000) < 40 * max(seconds(2_000), 0.01)
