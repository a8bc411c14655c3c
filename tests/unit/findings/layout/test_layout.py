"""A label with its value, a table and a check list are read like the sentences that they stand for."""

from __future__ import annotations

import time

import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.findings import read
from cxr_rewards.findings.ontology.load import data_files, parse

VALUES = next(parse(file) for path, file in data_files() if path == "layout.toml")["values"]
EXAMPLES = [(name, *example) for name, table in VALUES.items() for example in table.get("examples", {}).items()]


def describe(findings):
    """Return findings in the notation of the examples in layout.toml."""
    return ", ".join(" ".join(filter(None, (f.observation, f.certainty, f.side, f.change))) for f in findings)


def said(text):
    """Return what is read, without the order and the places in the text."""
    return sorted(finding[:11] for finding in read(text) if finding.observation != "comparison")


@pytest.mark.parametrize(("name", "text", "expected"), EXAMPLES, ids=[f"{name}: {text}" for name, text, _ in EXAMPLES])
def test_an_example_is_read_as_its_table_says(name, text, expected):
    assert describe(read(text)) == expected


LABELS = [
    "Pneumothorax",
    "pleural effusion",
    "Effusion/pneumothorax",
    "Left pleural effusion",
    "Consolidation or edema",
]
DENIALS = [
    "{}: No", "{}: absent.", "{}: Negative", "{} (-)", "{}: No {}", "{}? No.", "{} - none", "{}: nil", "{}: N", "{}: 0",
    "{}: Not seen.", "{}: There is none.", "{} absent.", "{} nil", "{}: None identified.", "| {} | No |", "{} | none",
    "{}\tAbsent", "{}        none", "[ ] {}", "- [ ] {}", "( ) {}", "\u2610 {}", "\u274c {}", "- **{}**: None",
    "**{}:** None.", "1. {}: absent", "{}:\nNone", "{}:\n- None", "{}\nAbsent", "### {}\nNone.", "{} = 0", "{} ... none",
    '"{}": false,', "{} \u2192 none", "{}: [ ]", "{} [ ]", "{}: [ ] Yes [x] No", "{}: no evidence of this", "{} -ve",
    "Is there {}? No.", "Any {}? None.", "{} present? No", "({}: no)", "{}, none.", "{} \u2014 none", "{}:No",
    "FINDINGS:\n{}: No", "IMPRESSION: {}: none", "Evidence of {}: none",
]  # fmt: skip
PRESENCES = [
    "{}: Yes", "{}: present.", "{}: Y", "{} (+)", "{}? Yes.", "{} - yes", "| {} | Present |", "[x] {}", "- [X] {}",
    "\u2611 {}", "\u2612 {}", "\u2713 {}", "(x) {}", "{}: true", "{} [x]", "{}: +", "{}: [x] Yes [ ] No", "{}\nPresent",
    "**{}**: Seen", "{}\tYes",
]  # fmt: skip
DOUBTS = ["{}: possible", "{}: ?", "{}? Possible", "| {} | Possible |", "{} (?)", "{}: equivocal", "{} - suspected"]
SILENCES = ["{}: N/A", "{}: not assessed", "| {} | unknown |", "{}: cannot be assessed", "{}: see below"]


@pytest.mark.parametrize("form", DENIALS)
@pytest.mark.parametrize("label", LABELS)
def test_a_denial_in_any_layout_is_read_as_in_prose(form, label):
    assert said(form.replace("{}", label)) == said(f"No {label.lower()}.")


@pytest.mark.parametrize("form", PRESENCES)
@pytest.mark.parametrize("label", LABELS)
def test_a_finding_in_any_layout_is_read_as_in_prose(form, label):
    assert said(form.format(label)) == said(f"{label}.")


@pytest.mark.parametrize("form", DOUBTS)
@pytest.mark.parametrize("label", LABELS)
def test_a_doubt_in_any_layout_is_read_as_in_prose(form, label):
    assert said(form.format(label)) == said(f"Possible {label.lower()}.")


@pytest.mark.parametrize("form", SILENCES)
def test_a_value_that_says_nothing_is_neither_finding_nor_denial(form):
    assert not read(form.format("Pleural effusion"))


@pytest.mark.parametrize(
    "text",
    [
        "Effusion: Yes, small, left",
        "Effusion: small, left",
        "Effusion: Present (small, left)",
        "Effusion: Yes - small, left",
        "Effusion: Yes. Small. Left.",
        "| Effusion | Yes | Left | Small |",
        "| Finding | Status | Side | Size |\n|---|---|---|---|\n| Effusion | Present | Left | Small |",
        "Finding\tStatus\tSide\tSize\nEffusion\tYes\tLeft\tSmall",
        "[x] Effusion - small, left",
        "Effusion\nSmall, left",
        "Effusion:\n- Small\n- Left",
        "Effusion: Small left effusion.",
        "Effusion: Yes\n  Side: left\n  Size: small",
        "Effusion: [x] Yes [ ] No\nSide: [x] Left [ ] Right\nSize: [x] Small [ ] Large",
        '"effusion": {"present": true, "side": "left", "size": "small"}',
    ],
)
def test_what_a_value_tells_besides_belongs_to_the_finding(text):
    assert said(text) == said("Small left effusion.")


@pytest.mark.parametrize(
    "text",
    [
        "Effusion: right, small; left, none",
        "Effusion: Right: small. Left: none.",
        "Effusion: small on the right, none on the left",
        "Effusion:\n- Right: small\n- Left: none",
        "| Finding | Right | Left |\n|---|---|---|\n| Effusion | small | none |",
        "| Side | Effusion |\n|---|---|\n| Right | small |\n| Left | none |",
        "Right effusion: small. Left effusion: none.",
    ],
)
def test_the_sides_of_a_label_are_read_each_by_itself(text):
    assert said(text) == said("Small right effusion. No left effusion.")


PROSE = "No pneumothorax. Small left pleural effusion. Normal heart."
RENDERINGS = [
    "Pneumothorax: No. Pleural effusion: Yes, left, small. Heart: normal.",
    "pneumothorax: no\npleural effusion: small, left\nheart: normal",
    "Pneumothorax: No Pleural effusion: Small left Heart: Normal",
    "Pneumothorax: no, pleural effusion: small left, heart: normal",
    "Pneumothorax? No. Pleural effusion? Yes, small, left. Heart: Normal.",
    "| Finding | Status | Details |\n|---|---|---|\n| Pneumothorax | No | - |\n| Pleural effusion | Yes | left, small |\n"
    "| Heart | Normal | |",
    "Finding | Status\nPneumothorax | absent\nPleural effusion | small left\nHeart | normal",
    "Pneumothorax\tNo\nPleural effusion\tSmall left\nHeart\tNormal",
    "Pneumothorax        No\nPleural effusion    Small left\nHeart               Normal",
    "[ ] Pneumothorax\n[x] Pleural effusion - small, left\n[x] Heart normal",
    "[ ] Pneumothorax  [x] Pleural effusion, small, left  [x] Normal heart",
    "**FINDINGS**\n\n- **Pneumothorax:** None\n- **Pleural effusion:** Small left\n- **Heart:** Normal",
    "## Findings\n1. **Pneumothorax**: No.\n2. **Pleural effusion**: Yes (left, small).\n3. **Heart**: Normal.",
    '{"pneumothorax": "absent", "pleural_effusion": "small, left", "heart": "normal"}',
    "| Finding | Yes | No |\n|---|---|---|\n| Pneumothorax | | X |\n| Small left pleural effusion | X | |\n"
    "| Cardiomegaly | | X |",
    "Pneumothorax (-), small left pleural effusion (+), cardiomegaly (-)",
    "PNEUMOTHORAX\nNone.\nPLEURAL EFFUSION\nSmall, left.\nHEART\nNormal.",
    "Absent: pneumothorax, cardiomegaly\nPresent: small left pleural effusion",
    "Negative findings:\n- pneumothorax\n- cardiomegaly\nPositive findings:\n- small left pleural effusion",
    "Lungs: No pneumothorax. Pleura: Small left effusion. Heart: Normal.",
    "Lungs and pleura:\n- No pneumothorax\n- Small left pleural effusion\nHeart:\n- Normal size",
    "Lungs:\n- Pneumothorax: none\nPleura:\n- Effusion: small, left\nHeart:\n- Normal",
]


@pytest.mark.parametrize("text", RENDERINGS)
def test_a_report_scores_alike_in_prose_and_in_any_layout(text):
    reward = CompositeReward(["findings_soft_f1"])
    assert reward.score(text, PROSE).value == reward.score(PROSE, PROSE).value == 1.0
    others = "Pneumothorax. Moderate right pleural effusion. Cardiomegaly."
    assert reward.score(others, text).value == pytest.approx(reward.score(others, PROSE).value, abs=0.01)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Note: no pneumothorax.", "No pneumothorax."),
        ("(a) Effusion: nil seen (b) Edema: nil seen", "No effusion. No edema."),
        ("Is the heart enlarged? No. Are the lungs clear? Yes.", "Heart not enlarged. The lungs are clear."),
        ("Pneumothorax: N/A - none visible.", "No pneumothorax."),
        ("There is one finding: cardiomegaly.", "One finding, cardiomegaly."),
        ("The heart is enlarged - no effusion.", "The heart is enlarged. No effusion."),
        ("Pneumonia: follow-up recommended.", "Pneumonia."),
        ("Infection: no pneumonia", "No pneumonia."),
        ("Bones: No acute fracture. Old rib fracture.", "No acute fracture. Old rib fracture."),
        ("Lines/tubes: ETT 4 cm above the carina.", "ETT 4 cm above the carina."),
        ("Right lung: Clear. Left lung: Small effusion.", "Right lung clear. Small left effusion."),
        ("No pneumothorax: true", "No pneumothorax."),
        ("[x] No pneumothorax", "No pneumothorax."),
        ("Acute findings: none", "No acute findings."),
        ("Effusion: no change", "The effusion is unchanged."),
        ("Pneumothorax: No. Edema: none, resolved.", "No pneumothorax. The edema has resolved."),
        ("Lungs: Consolidation in the right\nlower lobe.", "Consolidation in the right lower lobe."),
    ],
)
def test_prose_after_a_colon_stays_prose(text, expected):
    def plain(report):
        return {(f.observation, f.certainty, f.side, f.places, f.change, f.size_mm) for f in read(report)}

    assert plain(text) == plain(expected)


@pytest.mark.parametrize(
    "text",
    [
        "[ ] No pneumothorax",
        "[ ] Normal",
        "[ ] Lungs clear",
        "Lungs clear: No",
        "| Technique | PA, rule out pneumonia |",
    ],
)
def test_what_is_left_unchecked_or_belongs_to_another_section_says_nothing(text):
    assert not read(text)


@pytest.mark.parametrize(
    "text",
    [
        "The Pneumothorax: none. ok",
        "| Pneumothorax | Absent |",
        "[ ] Pneumothorax",
        "Edema: no. Pneumothorax: No.",
        "Pneumothorax\nNone",
    ],
)
def test_a_finding_points_at_the_words_of_its_label(text):
    finding = next(f for f in read(text) if f.observation == "pneumothorax")
    assert text[finding.start : finding.end] == "Pneumothorax"


def test_a_finding_in_a_value_points_at_its_own_words():
    text = "Lungs:\n- Small nodule\n- Clear otherwise"
    nodule = read(text)[0]
    assert text[nodule.start : nodule.end] == "nodule"


@pytest.mark.parametrize(
    "part",
    [
        "effusion: no ",
        "|",
        "| a ",
        "[ ] ",
        "[x] effusion ",
        "Lungs:\n",
        "effusion\n",
        "a:b ",
        "? ",
        "x - ",
        "A B C: ",
        "\t",
        "effusion\tno\n",
    ],
)
def test_time_grows_in_proportion_to_length(part):
    def seconds(size):
        text = (part * (size // len(part) + 1))[:size]
        start = time.process_time()
        read(text)
        return time.process_time() - start

    seconds(1000)
    assert seconds(100_000) < 40 * max(seconds(10_000), 0.02)


@pytest.mark.parametrize("value", ["nil", "none", "no abnormality", "no abnormality detected", "nothing seen"])
@pytest.mark.parametrize("label", ["Lungs", "Bones", "Left lung", "HEART", "Pleura"])
def test_nothing_said_of_a_structure_means_that_it_is_normal(label, value):
    assert said(f"{label}: {value}") == said(f"{label}: normal")


@pytest.mark.parametrize("value", ["no", "-", "0", "absent"])
def test_a_bare_no_says_nothing_of_a_structure(value):
    assert not read(f"Lungs: {value}")


def test_a_normal_label_before_a_denial_is_read_with_it():
    observations = {f.observation for f in read("Normal examination: no abnormality of the lungs or bones.")}
    assert {"airspace_opacity", "fracture", "lung_opacity"} <= observations


@pytest.mark.parametrize("value", ["satisfactory", "high", "displaced", "removed"])
@pytest.mark.parametrize("label", ["ETT", "Right IJ line", "Left chest drain"])
def test_a_label_tells_the_sense_of_its_value(label, value):
    assert said(f"{label}: {value}") == said(f"{label} is {value}.")
