"""The HTML report: well formed, small, without scripts or loads, and harmless whatever the reports say."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tests.command_line import run

from cxr_rewards.evaluation.report import ReportOptions, build_report
from cxr_rewards.evaluation.report.blocks import LOOKS, Name, axis_of
from cxr_rewards.evaluation.report.origin import published, weights_in
from cxr_rewards.evaluation.report.page import to_html
from cxr_rewards.evaluation.report.plots import density, distribution
from cxr_rewards.evaluation.scores import load_scores

SAMPLE = Path(__file__).parents[3] / "examples" / "sample_reports.csv"
VOID = {"meta", "link", "br", "hr", "img", "input"}
REFERENCE = "FINDINGS: Small left pleural effusion. The heart is mildly enlarged. No pneumothorax."
CANDIDATES = (
    "FINDINGS: Small left pleural effusion. No pneumothorax.",
    "FINDINGS: Large right pneumothorax. The heart is normal.",
    "FINDINGS: The lungs are clear. No pleural effusion.",
)


class Parsed(HTMLParser):
    """Elements of a page: those left open, their attributes, their texts."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.starts, self.texts, self.captions = [], [], [], [], 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.starts.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.starts.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.wrong.append(tag)

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.starts if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def write_scores(path, rows, *, texts=True, components=("rouge_l", "worst_error")):
    """Write a file of scores: rows of (id, candidate, reference, scores, kind)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["study_id", *(["candidate", "reference"] if texts else []), *components, "reward", "reason", "reason_kind"]
        )
        for case, candidate, reference, scores, kind in rows:
            cells = ["" if score is None else score for score in scores]
            writer.writerow([case, *([candidate, reference] if texts else []), *cells, kind and "because", kind])
    return path


def some_rows(n=12, *, seed=0, candidate=None):
    random = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        scores = [float(x) for x in np.round(random.random(3), 3)]
        rows.append((f"s{i}", candidate or CANDIDATES[i % 3], REFERENCE, scores, ""))
    return rows


def page_of(tmp_path, *files, options=()):
    out = tmp_path / "report.html"
    done = run("report", *files, "-o", out, "--cases", 2, "--resamples", 200, *options)
    assert done.returncode == 0, done.stderr
    page = out.read_text(encoding="utf-8")
    return page, Parsed(page)


@pytest.fixture
def two(tmp_path):
    return (
        write_scores(tmp_path / "first.csv", some_rows(seed=1)),
        write_scores(tmp_path / "second.csv", some_rows(seed=2)),
    )


def test_a_page_of_two_systems_is_well_formed_and_loads_nothing(tmp_path, two):
    page, parsed = page_of(tmp_path, *two)
    assert (parsed.wrong, parsed.open) == ([], [])
    assert not parsed.all("script")
    assert not re.search(r"(?:src|href|url\(|@import)[^>]*https?://", page)
    assert [link["href"] for link in parsed.all("link")] == ["data:,"]
    assert "default-src 'none'" in parsed.all("meta")[1]["content"]
    assert not [name for _, attributes in parsed.starts for name in attributes if name.startswith("on")]


def test_a_page_can_be_read_without_eyes_and_without_a_mouse(tmp_path, two):
    _, parsed = page_of(tmp_path, *two)
    assert [len(parsed.all(tag)) for tag in ("main", "nav", "header", "h1")] == [1, 1, 1, 1]
    assert parsed.all("html") == [{"lang": "en"}]
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all("scope" in head for head in parsed.all("th"))
    drawings = [attributes for _, attributes in parsed.starts if attributes.get("role") == "img"]
    assert drawings
    assert all(re.search(r": (median|12 cases)", drawing["aria-label"]) for drawing in drawings)
    scrolled = [attributes for _, attributes in parsed.starts if attributes.get("class") == "scroll"]
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in scrolled)
    ids = [attributes["id"] for _, attributes in parsed.starts if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in parsed.all("a")} <= set(ids)


def test_scores_stand_in_the_table_with_direction_and_interval(tmp_path):
    rows = [(f"s{i}", "Clear.", "Clear.", [i % 2, 0.5, 0.75], "") for i in range(100)]
    _, parsed = page_of(tmp_path, write_scores(tmp_path / "mine.csv", rows))
    assert re.search(r"rouge_l ↑ higher is better [\d. ]*mine 0\.500 0\.[34]\d+ to 0\.[56]\d+ 100 0", parsed.text)
    assert re.search(r"worst_error ↓ lower is better [\d. ]*mine 0\.500", parsed.text)


def test_findings_are_marked_with_signs_as_explain_marks_them(tmp_path, two):
    page, parsed = page_of(tmp_path, *two)
    kinds = {mark.get("class") for mark in parsed.all("mark")}
    assert {"false", "missed", "matched", "denied"} <= kinds
    assert re.search(r'<mark class="missed"><b [^>]*>-\d+</b><span class="hidden">missed', page)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The page of two systems on the sample reports, one of them the copy of the prior report."""
    folder = tmp_path_factory.mktemp("sample")
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name, column in (("model", "candidate"), ("copied", "prior_report")):
        with (folder / f"{name}_in.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0], "chexprompt.significant"])
            writer.writeheader()
            for i, row in enumerate(rows):
                writer.writerow({**row, "candidate": row[column], "chexprompt.significant": i % 6})
        done = run("score", folder / f"{name}_in.csv", "-o", folder / f"{name}.csv")
        assert done.returncode == 0, done.stderr
    options = ["--by", "sex", "--by", "age", "--by", "change", "--resamples", 1000]
    return page_of(folder, folder / "model.csv", folder / "copied.csv", options=options)


def section_of(parsed, title, following):
    """Return the text from the heading of a section to the next, which stand in the contents, too."""
    return parsed.text.split(f" {title} ", 2)[2].split(f" {following} ")[0]


def test_the_result_in_short_names_the_better_system_with_interval_and_p(sample):
    _, parsed = sample
    short = section_of(parsed, "In short", "Scores")
    number = r"0\.\d{3}"
    better = rf"model is better than copied by {number} \({number} to {number}\), adjusted p (=|<) ?{number}"
    assert re.search(rf"{better}\. It is better in \d+% of the cases and worse in \d+%", short)


def test_a_difference_has_its_interval_its_p_values_and_its_cases(sample):
    _, parsed = sample
    differences = section_of(parsed, "Differences", "Distributions")
    assert "model less copied" in differences
    assert re.search(r"findings_soft_f1 \+0\.\d+ 0\.\d+ to 0\.\d+ \S+ \S+ model \d+%, \d+%, \d+%", differences)
    assert re.search(r"prior_consistency \S+ \S+ to \S+ \S+ \S+ not clear", differences)


def test_each_condition_has_f1_of_both_systems_under_both_rules(sample):
    _, parsed = sample
    conditions = section_of(parsed, "Conditions", "Kinds of change")
    assert re.search(r"Cardiomegaly in \d+ references model 0\.\d+ .* copied 0\.\d+", conditions)
    assert "macro in" in conditions
    assert "F1, uncertain as negative" in conditions


def test_kinds_of_change_stand_beside_reports_that_need_no_image(sample):
    _, parsed = sample
    changes = section_of(parsed, "Kinds of change", "Encounters")
    assert "first study" in changes
    assert changes.count("copy of the prior report") > 5
    assert "most frequent report" in changes


def test_groups_have_gaps_of_each_system_and_the_difference_of_gaps(sample):
    _, parsed = sample
    groups = section_of(parsed, "Groups", "Errors that a judge counts")
    assert "Gaps by sex: the best group less the worst" in groups
    assert "reward by sex × age × change" in groups
    assert "Differences of gaps: model less copied" in groups
    assert re.search(r"reward gap by sex [+−]?\d", groups)


def test_errors_of_a_judge_are_counted_in_classes(sample):
    page, parsed = sample
    errors = section_of(parsed, "Errors that a judge counts", "Score and length")
    assert re.search(r"chexprompt significant errors model 2\.5\d+ [12]\.\d+ to 2\.\d+ 3\d% 1\d% 1\d% 3\d%", errors)
    assert '<rect width="' in page


def test_what_made_the_scores_is_told_with_signatures(sample):
    _, parsed = sample
    made = parsed.text.split(" What made the scores ", 2)[2]
    assert "rules #" in made
    assert "findings_soft_f1 0.98 findings_soft_f1/" in made
    assert "model_in.csv" in made


def test_published_checksums_stand_beside_the_weights_of_a_signature():
    entities = "rate_entities/1#9595bb62cb2c"
    annotations = 'radgraph_annotations/1?model="radgraph-xl"#1189076f0650'
    found = weights_in(f"a/1({entities},rate_embeddings/1({entities})#8bd320e2419a); {annotations} #4ca9e09cc097")
    assert [(name.partition("/")[0], fingerprint) for name, fingerprint in found] == [
        ("rate_entities", "9595bb62cb2c"),
        ("rate_entities", "9595bb62cb2c"),
        ("rate_embeddings", "8bd320e2419a"),
        ("radgraph_annotations", "1189076f0650"),
    ]
    assert [published(name)[:6] for name, _ in found] == ["b380aa", "b380aa", "6164f3", "fadb5a"]


def test_a_third_system_and_a_baseline_make_two_pairs(tmp_path):
    files = [write_scores(tmp_path / f"{name}.csv", some_rows(40, seed=i)) for i, name in enumerate("abc")]
    _, parsed = page_of(tmp_path, *files, options=["--baseline", "b"])
    assert [pair for pair in ("a less b", "c less b", "a less c") if f"{pair}, case by case" in parsed.text] == [
        "a less b",
        "c less b",
    ]


def test_dates_order_the_encounters_and_a_preset_scores_the_baselines(tmp_path):
    rows = ["study_id,patient_id,date,candidate,reference,reward"]
    rows += [f"s{i},p{i // 3},2024-01-{i % 28 + 1:02},{CANDIDATES[i % 3]},{REFERENCE},{i % 5 / 5}" for i in range(36)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    _, parsed = page_of(tmp_path, tmp_path / "a.csv", options=["--order-by", "date", "--preset", "rules"])
    encounters = section_of(parsed, "Encounters", "Score and length")
    assert re.search(r"1 12 cases .* 2 12 cases .* 3 12 cases", encounters)
    assert "most frequent report" in encounters


def test_allowed_differences_of_the_files_are_a_warning(tmp_path):
    files = [
        write_scores(tmp_path / "a.csv", some_rows(12)),
        write_scores(tmp_path / "b.csv", some_rows(12)[:10]),
    ]
    _, parsed = page_of(tmp_path, *files, options=["--allow", "ids"])
    assert "Note. not in all files: 2 of 12 cases of a" in parsed.text


HOSTILE = (
    '<script>alert(1)</script>"><img src=x onerror=alert(1)> </style></title> {{ 7 * 7 }} '
    "Left\u202eeffusion\u200b\x1b[31m \U0001fae0 \u0627\u0644\u0635\u062f\u0631 &amp; '--> ]]> "
)


def test_hostile_texts_ids_names_and_columns_stay_text(tmp_path):
    rows = [
        (f"<b onclick=x>{i}</b>\u202e", HOSTILE + CANDIDATES[0], HOSTILE, [0.1 * i, 0.2, 0.3], "") for i in range(5)
    ]
    first = write_scores(tmp_path / "a.csv", rows, components=('"><svg onload=x>', "rouge_l"))
    second = write_scores(
        tmp_path / "b.csv",
        rows[:0] + [(c, "No effusion.", r, [0.1, 0.1, 0.9], k) for c, _, r, _, k in rows],
        components=('"><svg onload=x>', "rouge_l"),
    )
    options = [
        "--name",
        "<script>x</script>",
        "--name",
        'b" onfocus="x',
        "--title",
        "</title><script>",
        "--metrics",
        "reward",
        "--metrics",
        '"><svg onload=x>',
    ]
    page, parsed = page_of(tmp_path, first, second, options=options)
    assert (parsed.wrong, parsed.open) == ([], [])
    assert not parsed.all("script")
    assert not parsed.all("img")
    assert not [name for _, attributes in parsed.starts for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in parsed.text
    assert "{{ 7 * 7 }}" in parsed.text
    assert all(escape in parsed.text for escape in ("Left\\u202e", "\\u200b", "\\x1b[31m", "\U0001fae0"))
    assert not set(page) & set("\u202e\u200b\x1b")


def test_a_text_of_100_kilobytes_is_cut(tmp_path):
    long = CANDIDATES[0] + " Small left pleural effusion and no pneumothorax." * 2_000
    rows = [(f"s{i}", long, REFERENCE, [0.1, 0.2, 0.3], "") for i in range(3)]
    page, parsed = page_of(tmp_path, write_scores(tmp_path / "a.csv", rows))
    assert "more characters)" in parsed.text
    assert len(page) < 100_000


def test_the_size_does_not_grow_with_the_number_of_cases(tmp_path):
    sizes = []
    for n in (200, 10_000):
        rows = some_rows(n, candidate="Clear.")
        files = [write_scores(tmp_path / f"{name}.csv", rows) for name in "ab"]
        page = build_report(list(map(load_scores, files)), ReportOptions(resamples=200))
        sizes.append(len(to_html(page).encode()))
    assert sizes[1] < min(1.5 * sizes[0], 500_000)


def test_one_system_without_texts_has_no_cases_to_mark(tmp_path):
    _, parsed = page_of(tmp_path, write_scores(tmp_path / "a.csv", some_rows(), texts=False))
    assert "The files do not hold the reports" in parsed.text
    assert "Most different cases" not in parsed.text
    assert not parsed.all("mark")


def test_a_file_with_nothing_scored_has_a_page_that_says_why(tmp_path):
    rows = [(f"s{i}", "", REFERENCE, [None, None, None], "missing_text") for i in range(6)]
    _, parsed = page_of(tmp_path, write_scores(tmp_path / "a.csv", rows))
    assert (parsed.wrong, parsed.open) == ([], [])
    assert "missing_text 6" in parsed.text
    assert "nan" not in parsed.text.lower()


def test_an_unscored_case_is_never_the_worst(tmp_path):
    rows = some_rows(8)
    rows[3] = ("unscored", CANDIDATES[0], REFERENCE, [None, None, None], "timeout")
    _, parsed = page_of(tmp_path, write_scores(tmp_path / "a.csv", rows))
    assert "Case unscored" not in parsed.text
    assert "timeout 1" in parsed.text


def test_a_page_replaces_a_page_and_no_other_file(tmp_path, two):
    page_of(tmp_path, *two)
    page_of(tmp_path, *two)
    other = tmp_path / "thesis.html"
    other.write_text("<p>mine")
    done = run("report", *two, "-o", other)
    assert (done.returncode, other.read_text()) == (1, "<p>mine")
    assert "exists and is not a report" in done.stderr
    assert run("report", *two, "-o", other, "--force", "--cases", 0, "--resamples", 100).returncode == 0
    assert REFERENCE not in other.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "report.pdf"], "give a name that ends in .html"),
        (["-o", "absent/report.html"], "create it first"),
        (["-o", "report.html", "--name", "one"], "1 --name for 2 files"),
        (["-o", "report.html", "--allow", "everything"], "unknown difference 'everything'"),
        (["-o", "report.html", "--cluster", "patient"], "unknown column 'patient'"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(tmp_path, two, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run("report", *two, *arguments)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_histogram_says_its_medians_and_leaves_out_what_is_missing():
    values = np.array([0.0, 0.5, 0.5, 1.0, np.nan])
    plot = distribution("t", "l", (0, 1), [(Name("a", 0), values), (Name("b", 1), values[4:])])
    assert plot.says == "t. a: median 0.5, half of the cases from 0.375 to 0.625; b: no case is scored."
    assert [path.css for path in plot.paths] == ["line s0"]
    assert plot.y.high >= 50


def test_a_few_cases_far_away_do_not_squeeze_the_others():
    values = np.concatenate((np.linspace(0, 1, 2_000), [1e6]))
    assert distribution("t", "l", (-np.inf, np.inf), [(Name("a", 0), values)]).x.high < 2


def test_a_density_plot_has_a_cell_for_each_place_with_cases_and_not_for_each_case():
    random = np.random.default_rng(0)
    plot = density(
        "t", random.random(5_000) * 90, random.random(5_000), labels=("words", "score"), bounds=(0, 1), look=0
    )
    cells = sum(path.d.count("z") for path in plot.paths)
    assert 500 < cells <= 640
    assert "median score by thirds of words" in plot.says


@pytest.mark.parametrize("values", [[], [np.nan], [3.0], [1e-9, 2e-9], [-5.0, 1e7], [np.inf, 1.0], [0.1, 0.1 + 1e-15]])
@pytest.mark.parametrize("pad", [False, True])
def test_an_axis_holds_its_values_and_has_ticks(values, pad):
    axis = axis_of(values, pad=pad)
    assert len(axis.ticks) >= 2
    assert axis.low < axis.high
    assert all(axis.low <= value <= axis.high for value in values if np.isfinite(value))


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(scheme):
    style = files("cxr_rewards.evaluation.report").joinpath("style.css").read_text(encoding="utf-8")
    found = re.findall(r":root \{([^}]*)\}", style)[scheme]
    colours = {
        n: c if len(c) == 7 else "#" + "".join(2 * x for x in c[1:]) for n, c in re.findall(r"--([\w]+): (#\w+)", found)
    }
    for name in ("text", "soft", "link"):
        assert contrast(colours[name], colours["page"]) >= 4.5, name
    for name in ("band", "false", "missed", "contradicted", "differs", "matched", "statement", "denied"):
        assert contrast(colours["text"], colours[name]) >= 4.5, name
    for i in range(LOOKS):
        assert contrast(colours[f"s{i}"], colours["page"]) >= 3, i


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_opens_the_page_without_an_error(tmp_path, two):
    page_of(tmp_path, *two)

    def opened(page):
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
                   f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    done = opened(tmp_path / "report.html")
    assert "CONSOLE" not in done.stderr
    assert "Most different cases" in done.stdout
    broken = tmp_path / "broken.html"
    broken.write_text("<script>console.error('seen'); undefined.x</script>")
    assert "CONSOLE" in opened(broken).stderr  # an error would have been seen
