"""UniRG-CXR's tables of a file, in Python and from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.command_line import run

from cxr_rewards import load_reward
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation import Protocol, evaluate, load_scores, reward_of, tables_of
from cxr_rewards.evaluation.baselines import COPY, FREQUENT, baselines_of, most_frequent
from cxr_rewards.evaluation.error_counts import count_errors, errors_in_columns, errors_in_details
from cxr_rewards.evaluation.protocol import MICRO_F1, above_baseline, of_baseline
from cxr_rewards.evaluation.texts import encounters_by_order, encounters_by_priors, read_texts
from cxr_rewards.files import choose_columns, open_table

SAMPLE = Path(__file__).parents[3] / "examples" / "sample_reports.csv"
FAST = {"resamples": 100, "minimum": 2}

REFERENCES = (
    "Small right effusion. No pneumothorax.",
    "New consolidation in the left base.",
    "The effusion has increased. The heart is enlarged.",
    "The edema has improved.",
    "Stable cardiomegaly. The lungs are clear.",
)


def rows(count=20):
    """Return rows of patients with two studies each, the second with a prior."""
    found = []
    for i in range(count):
        prior = REFERENCES[i % 5]
        for study in (1, 2):
            reference = REFERENCES[(i + study) % 5]
            found.append(
                {
                    "case_id": f"c{i}-{study}",
                    "patient_id": f"p{i}",
                    "sex": "FM"[i % 2],
                    "age": str(30 + i * 3),
                    "site": ("north", "south")[i % 3 == 0],
                    "date": f"2024-0{study}-0{1 + i % 9}",
                    "priors": json.dumps([prior] if study == 2 else []),
                    "candidate": REFERENCES[(i + study) % 5 if i % 4 else i % 5],
                    "reference": reference,
                    "reward": f"{0.3 + 0.01 * i + 0.1 * study:.3f}",
                }
            )
    return found


def write(path, table, *, without=()):
    names = [name for name in table[0] if name not in without]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    return path


def evaluated(path, reward=None, **options):
    return evaluate(load_scores(path), Protocol(**{**FAST, **options}), reward=reward)


@pytest.fixture
def scores(tmp_path):
    return write(tmp_path / "scores.csv", rows())


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample") / "rewards.csv"
    assert run("score", SAMPLE, "-o", out).returncode == 0
    return out


def names(table):
    return [group.name for group in table.groups]


def test_conditions_come_by_both_rules_for_uncertain(scores):
    tables = evaluated(scores).conditions
    assert [(table.labeler, table.uncertain, table.cases) for table in tables] == [
        ("rules", "positive", 40),
        ("rules", "negative", 40),
    ]
    effusion = next(row for row in tables[0].conditions if row.name == "Pleural Effusion")
    assert effusion.support == 16
    assert effusion.f1.low < effusion.f1.value < effusion.f1.high


def test_observations_come_if_asked_for(scores):
    tables = evaluated(scores, conditions=("pneumothorax", "cardiomegaly")).conditions
    assert [row.name for row in tables[2].conditions] == ["pneumothorax", "cardiomegaly"]
    assert tables[2].conditions[0].f1.reason == "neither candidates nor references have it"
    assert tables[2].conditions[1].support == 16


def test_kinds_of_change_count_first_studies_by_their_priors(scores):
    table = evaluated(scores).changes
    assert names(table) == ["first_study", "new", "progression", "regression", "no_change", "not_stated"]
    assert [group.cases for group in table.groups] == [20, 4, 4, 4, 4, 4]
    assert table.gaps == ()


def test_without_priors_and_dates_kinds_come_from_the_words_alone(tmp_path):
    result = evaluated(write(tmp_path / "s.csv", rows(), without=("priors", "date")))
    assert names(result.changes) == ["new", "progression", "regression", "no_change", "not_stated"]
    assert result.encounters is None
    assert "first studies are unknown: they count by the words of their references" in result.notes
    assert any(note.startswith("encounters are unknown") for note in result.notes)


def test_without_priors_dates_tell_first_studies(tmp_path):
    result = evaluated(write(tmp_path / "s.csv", rows(), without=("priors",)), order_by="date")
    assert result.changes.groups[0].name == "first_study"
    assert [(group.name, group.cases) for group in result.encounters.groups] == [("1", 20), ("2", 20)]


def test_all_first_studies_make_one_group(tmp_path):
    table = [{**row, "priors": "[]"} for row in rows()]
    result = evaluated(write(tmp_path / "s.csv", table), reward=load_reward("rules"))
    assert names(result.changes) == ["first_study"]
    assert names(result.encounters) == ["1"]
    assert result.baselines == (FREQUENT,)
    assert "no earlier reports, so no copy of the prior report as a baseline" in result.notes


def test_encounters_count_up_to_five_and_more(tmp_path):
    table = [{**row, "priors": json.dumps(["Clear lungs."] * (i % 8))} for i, row in enumerate(rows())]
    result = evaluated(write(tmp_path / "s.csv", table))
    assert names(result.encounters) == ["1", "2", "3", "4", "5+"]
    assert result.encounters.groups[4].cases == 20


def test_encounters_follow_dates_or_numbers_within_each_patient():
    patients = ["a", "a", "b", "", "a"]
    assert encounters_by_order(patients, ["10", "9", "1", "1", ""], "n") == ["2", "1", "1", "", ""]
    dates = ["2024-02-01T10:00", "2024-02-01T09:00:00+00:00", "2023-01-01", "", "2024-01-31"]
    assert encounters_by_order(["a"] * 5, dates, "date") == ["4", "3", "1", "", "2"]


def test_a_value_that_is_no_date_is_named_with_its_row():
    with pytest.raises(InputError, match=r"row 2, column 'when': expected a number or a date such as .*'last May'"):
        encounters_by_order(["a", "a"], ["2024-01-01", "last May"], "when")


def test_order_without_patients_is_refused(tmp_path):
    path = write(tmp_path / "s.csv", rows(), without=("patient_id", "case_id"))
    with pytest.raises(InputError, match="--order-by date orders the studies of a patient.*name it with --cluster"):
        evaluated(path, order_by="date")


def test_a_patient_with_one_study_is_at_its_first_encounter(tmp_path):
    path = write(tmp_path / "s.csv", rows()[::2], without=("priors",))
    assert names(evaluated(path, order_by="date").encounters) == ["1"]


def test_subgroups_come_alone_and_crossed_with_gaps(scores):
    result = evaluated(scores, by=("sex", "age", "site"), age_edges=(60,))
    assert [table.by for table in result.groups] == [("sex",), ("age",), ("site",), ("sex", "age", "site")]
    assert names(result.groups[1]) == ["<60", "60+"]
    assert names(result.groups[3])[0] == "F × <60 × north"
    assert [gap.measure for gap in result.groups[0].gaps] == ["reward", MICRO_F1]
    gap = result.groups[1].gaps[0]
    assert (gap.best, gap.worst) == ("60+", "<60")
    assert gap.difference.low > 0


def test_change_and_encounter_are_columns_too(scores):
    result = evaluated(scores, by=("encounter", "sex"))
    assert names(result.groups[0]) == ["1", "2"]
    assert names(result.groups[2]) == ["1 × F", "1 × M", "2 × F", "2 × M"]


def test_a_column_of_the_file_named_change_is_taken_as_it_is(tmp_path):
    table = [{**row, "change": "yes"} for row in rows()]
    assert names(evaluated(write(tmp_path / "s.csv", table), by=("change",)).groups[0]) == ["yes"]


def test_unknown_encounters_cannot_be_a_subgroup(tmp_path):
    path = write(tmp_path / "s.csv", rows(), without=("priors",))
    with pytest.raises(InputError, match=r"--by encounter: encounters are unknown.*--prior-col.*--order-by"):
        evaluated(path, by=("encounter",))
    path = write(tmp_path / "s.csv", rows(), without=("candidate", "reference"))
    with pytest.raises(InputError, match="--by change: no conditions, kinds of change and baselines without texts"):
        evaluated(path, by=("change",))


def test_unknown_ages_are_a_group_that_is_not_compared(tmp_path):
    table = [{**row, "age": "" if i < 12 else row["age"]} for i, row in enumerate(rows())]
    result = evaluated(write(tmp_path / "s.csv", table), by=("age",), age_edges=(60,))
    assert names(result.groups[0]) == ["<60", "60+", "unknown"]
    assert "unknown" not in (result.groups[0].gaps[0].best, result.groups[0].gaps[0].worst)


def test_unknown_columns_and_metrics_are_named_with_the_nearest(scores):
    with pytest.raises(InputError, match="unknown column 'sexx'.*sex"):
        evaluated(scores, by=("sexx",))
    with pytest.raises(InputError, match="unknown metric 'rewrd'.*reward"):
        evaluated(scores, metrics=("rewrd",))


def test_a_protocol_that_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match="minimum 1: expected 2 cases or more"):
        Protocol(minimum=1)
    with pytest.raises(ConfigError, match="resamples 10: expected 100 or more"):
        Protocol(resamples=10)
    with pytest.raises(InputError, match="unknown observation"):
        Protocol(conditions=("pneumonitis_x",))


def test_without_texts_subgroups_are_left_and_a_note_says_what_is_missing(tmp_path):
    path = write(tmp_path / "s.csv", rows(), without=("candidate", "reference", "priors"))
    result = evaluated(path, by=("sex",), reward=load_reward("rules"))
    assert (result.conditions, result.changes, result.encounters, result.baselines) == ((), None, None, ())
    assert result.metrics == ("reward",)
    assert names(result.groups[0]) == ["F", "M"]
    assert result.notes[0].startswith("no conditions, kinds of change and baselines without texts")
    assert "no column for the candidate" in result.notes[0]


def test_a_named_column_of_texts_must_exist(scores):
    with pytest.raises(InputError, match="unknown column 'report'"):
        evaluated(scores, reference="report")


def test_cases_without_texts_or_scores_are_counted_not_scored(tmp_path):
    table = rows()
    for row in table[:10]:
        row |= {"reward": "", "reference": "nan"}
    result = evaluated(write(tmp_path / "s.csv", table), by=("sex",))
    assert result.conditions[0].cases == 30
    assert result.conditions[0].unread == 10
    assert result.changes.groups[-1].name == "unknown"
    assert result.groups[0].overall.figures["reward"].n == 30
    assert result.groups[0].overall.figures[MICRO_F1].n == 30


def test_a_reference_in_which_nothing_is_read_is_left_out_of_the_conditions(tmp_path):
    table = rows()
    table[0]["reference"] = "Thank you for the referral."
    table[1]["candidate"] = "Thank you for the referral."
    result = evaluated(write(tmp_path / "s.csv", table))
    assert (result.conditions[0].cases, result.conditions[0].unread) == (39, 1)


def test_all_cases_of_one_patient_count_as_independent_with_a_note(tmp_path):
    table = [{**row, "patient_id": "p"} for row in rows()]
    result = evaluated(write(tmp_path / "s.csv", table))
    assert result.cluster == ""
    assert "all cases have one 'patient_id', so each counts as independent" in result.notes


def test_baselines_are_scored_with_the_reward_on_the_cases_that_have_them(scores):
    result = evaluated(scores, reward=load_reward("rules"))
    assert result.baselines == (COPY, FREQUENT)
    first, new = result.changes.groups[:2]
    copy = of_baseline("reward", COPY)
    assert (first.figures[copy].n, first.figures[copy].reason) == (0, "no scored case")
    assert new.figures[copy].n == 4
    case = read_texts(str(scores), choose_columns(open_table(scores).columns)).cases[-1]
    expected = load_reward("rules").score(case.priors[-1], case.reference, case.priors, context=case.context)
    assert expected.value is not None
    assert result.changes.overall.figures[of_baseline("reward", FREQUENT)].n == 40
    assert of_baseline(MICRO_F1, COPY) in new.figures


def test_the_system_is_compared_with_a_baseline_on_cases_scored_for_both(scores):
    result = evaluated(scores, reward=load_reward("rules"))
    figures = result.changes.groups[1].figures
    above = figures[above_baseline("reward", COPY)]
    assert above.n == 4
    assert above.value == pytest.approx(figures["reward"].value - figures[of_baseline("reward", COPY)].value)


def test_the_copy_is_of_the_last_prior_and_the_most_frequent_report_ignores_case():
    assert most_frequent(["A b.", "c", "a  B.", "c", "a b."]) == "A b."
    assert most_frequent(["", " "]) == ""


def test_a_case_without_priors_has_no_copy(scores):
    texts = read_texts(str(scores), choose_columns(open_table(scores).columns))
    copy, frequent = baselines_of(texts)
    assert [case is None for case in copy.cases[:2]] == [True, False]
    assert copy.cases[1].candidate == texts.cases[1].priors[-1]
    assert None not in frequent.cases
    assert encounters_by_priors(texts)[:2] == ["1", "2"]


def test_the_reward_is_that_of_the_files_record(sample):
    reward, why = reward_of(load_scores(sample))
    assert (reward.name, why) == ("rules", "")


def test_a_file_without_a_record_has_no_reward_but_a_reason(scores):
    assert reward_of(load_scores(scores)) == (
        None,
        "the file has no record of its reward; name it with --preset or --config",
    )
    assert reward_of(load_scores(scores), "rules")[0].name == "rules"


def test_a_record_of_another_reward_is_not_taken_for_it(sample, tmp_path):
    copied = tmp_path / "rewards.csv"
    copied.write_bytes(sample.read_bytes())
    record = json.loads(sample.with_name("rewards.csv.meta.json").read_text())
    record["reward"]["signature"] = "old"
    copied.with_name("rewards.csv.meta.json").write_text(json.dumps(record))
    reward, why = reward_of(load_scores(copied))
    assert reward is None
    assert why == "'rules' is another reward here than the one that made the scores; name it with --config"
    record["reward"]["name"] = "mine"
    copied.with_name("rewards.csv.meta.json").write_text(json.dumps(record))
    assert "its reward 'mine' cannot be had here" in reward_of(load_scores(copied))[1]


def details_rows(count):
    return [
        {
            "row": i + 1,
            "parts": {
                "chexprompt": {
                    "value": 1.0 if i else None,
                    "details": {"counts": {"significant": {"A": i % 3, "B": 1}, "insignificant": {"A": 2, "B": 0}}},
                },
                "chexbert_f1": {"value": 0.5, "details": {"labels": ["0" * 13 + "1", "01" + "0" * 12]}},
                "bleu": {"value": 0.1, "details": {}},
            },
        }
        for i in range(count)
    ]


def test_errors_of_a_judge_come_from_the_details():
    found = errors_in_details(details_rows(6), 6)
    assert set(found) == {("chexprompt", kind) for kind in ("all", "significant", "insignificant")}
    assert np.isnan(found["chexprompt", "all"][0])
    assert found["chexprompt", "all"][1:].tolist() == [4, 5, 3, 4, 5]
    assert found["chexprompt", "significant"][1:].tolist() == [2, 3, 1, 2, 3]


def test_errors_of_a_judge_come_from_columns():
    columns = {"chexprompt.significant": ["1", ""], "chexprompt.insignificant": ["2", "0"], "sex": ["F", "M"]}
    found = errors_in_columns(columns)
    assert found["chexprompt", "all"][0] == 3
    assert np.isnan(found["chexprompt", "all"][1])
    assert found["chexprompt", "significant"][0] == 1


def test_shares_of_errors_are_those_of_unirgs_classes():
    errors = np.array([0, 1, 1.4, 1.5, 2, 3, 4, 9, 5, np.nan])
    counts = count_errors("judge", "all", errors, resamples=100)
    assert counts.mean.n == 9
    assert {name: round(figure.value * 9) for name, figure in counts.shares.items()} == {
        "<=1": 3, "2": 2, "3": 1, ">=4": 3,
    }  # fmt: skip
    assert all(figure.low < figure.value < figure.high for figure in counts.shares.values())


def test_no_known_number_of_errors_has_reasons():
    counts = count_errors("judge", "all", np.full(3, np.nan), resamples=100)
    assert counts.mean.reason == "no scored case"
    assert counts.shares["2"].reason == "no report with a number of errors"


def test_details_give_errors_and_chexberts_labels(scores, tmp_path):
    keys = {"case_id": "", "reward": 0.1, "reason": None, "reason_kind": None, "gates": []}
    order = ("row", "case_id", "reward", "reason", "reason_kind", "gates", "parts")
    path = tmp_path / "details.jsonl"
    lines = [{key: {**keys, **row}[key] for key in order} for row in details_rows(40)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = evaluate(load_scores(scores, details=path), Protocol(**FAST))
    assert [counts.kind for counts in result.errors] == ["significant", "insignificant", "all"]
    chexbert = [table for table in result.conditions if table.labeler == "chexbert"]
    assert [table.uncertain for table in chexbert] == ["positive", "negative"]
    assert {row.name: (row.support, row.predicted) for row in chexbert[0].conditions if row.support or row.predicted} == {
        "Cardiomegaly": (40, 0), "No Finding": (0, 40),
    }  # fmt: skip
    with path.open("a") as file:
        file.write(json.dumps({**lines[0], "row": 41}) + "\n")
    with pytest.raises(InputError, match="has row 41, but .* has 40 rows"):
        evaluate(load_scores(scores, details=path), Protocol(**FAST))


def test_equal_seeds_give_equal_tables_and_json_holds_all(scores):
    first, second = (evaluated(scores, by=("sex",)).as_json() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)
    assert set(first) >= {"conditions", "changes", "encounters", "groups", "errors", "baselines", "notes", "seed"}
    assert evaluated(scores, by=("sex",), seed=1).as_json() != first


def test_tables_show_what_json_holds(scores):
    result = evaluated(scores, by=("sex",), reward=load_reward("rules"))
    tables = tables_of(result)
    assert [table.title for table in tables][2:] == [
        "by kind of change",
        "reward by kind of change, of reports that need no image",
        "micro_f1_14 by kind of change, of reports that need no image",
        "by encounter",
        "reward by encounter, of reports that need no image",
        "micro_f1_14 by encounter, of reports that need no image",
        "by sex",
        "gaps by sex",
    ]
    assert all(len(row) == len(table.head) for table in tables for row in table.rows)
    figure = result.groups[0].groups[0].figures["reward"]
    assert tables[-2].rows[0][2] == f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def test_command_prints_the_tables_of_a_scored_file(sample):
    result = run("evaluate", sample, "--by", "sex", "--by", "age", "--age-bands", "60", "--resamples", "100")
    assert result.returncode == 0, result.stderr
    for title in (
        "CheXpert labels by rules, uncertain as positive: 48 cases",
        "by kind of change",
        "gaps by sex × age",
    ):
        assert title in result.stdout
    assert "copy of the prior report" in result.stdout
    assert "rewards: no labels of CheXbert in the details" in result.stderr


def test_command_writes_markdown_latex_and_json(sample):
    few = ("--resamples", "100", "--no-baselines")
    assert "| change | cases | reward | micro_f1_14 |" in run("evaluate", sample, "--format", "markdown", *few).stdout
    assert r"\begin{tabular}{lrrr}" in run("evaluate", sample, "--format", "latex", *few).stdout
    found = json.loads(run("evaluate", sample, "--json", *few).stdout)
    assert found["across"] is None
    assert found["evaluations"][0]["changes"]["by"] == ["change"]
    assert found == json.loads(run("evaluate", sample, "--format", "json", *few).stdout)


def test_command_puts_several_files_side_by_side(tmp_path):
    first = write(tmp_path / "a.csv", rows())
    other = write(
        tmp_path / "b.csv",
        [{**row, "case_id": f"x{i}", "reward": f"{float(row['reward']) + 1:.3f}"} for i, row in enumerate(rows())],
    )
    found = json.loads(
        run("evaluate", first, other, "--name", "north", "--name", "south", "--json", "--resamples", "100").stdout
    )
    (gap,) = found["across"]["gaps"]
    assert [group["name"] for group in found["across"]["groups"]] == ["north", "south"]
    assert (gap["best"], gap["worst"], round(gap["difference"]["value"], 3)) == ("south", "north", 1.0)
    assert "gaps by file" in run("evaluate", first, other, "--resamples", "100").stdout


def test_two_systems_on_the_same_cases_are_resampled_together(tmp_path):
    first = write(tmp_path / "a.csv", rows())
    shifted = [{**row, "reward": f"{float(row['reward']) + 0.05 + i % 2 / 100:.3f}"} for i, row in enumerate(rows())]
    together = write(tmp_path / "b.csv", shifted)
    apart = write(tmp_path / "c.csv", [{**row, "case_id": f"x{i}"} for i, row in enumerate(shifted)])

    def width(other):
        found = json.loads(run("evaluate", first, other, "--json", "--resamples", "200").stdout)
        difference = found["across"]["gaps"][0]["difference"]
        return difference["high"] - difference["low"]

    assert width(together) < width(apart) / 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--name", "a", "--name", "b"), "--name is given 2 times for 1 files"),
        (("--age-bands", "old"), "--age-bands old: expected ages between commas"),
        (("--age-bands", "60,40"), "age bands 60, 40: expected rising ages"),
        (("--conditions", "pneumothoraxx"), "--conditions: unknown observation 'pneumothoraxx'"),
        (("--preset", "ruless"), "ruless"),
        (("--preset", "rules", "--config", "mine.toml"), "give either --preset rules or --config mine.toml"),
    ],
)
def test_command_refuses_what_it_cannot_do(scores, options, message):
    result = run("evaluate", scores, *options)
    assert result.returncode == 1
    assert message in result.stderr


def test_command_refuses_a_reward_that_did_not_make_the_scores(sample):
    result = run("evaluate", sample, "--preset", "rules_v1")
    assert result.returncode == 1
    assert "was not scored by 'rules_v1' as it is here (their signatures differ)" in result.stderr


def test_a_recorded_reward_with_a_judge_is_not_asked_again_unless_it_is_named(sample, tmp_path, judge):
    copied = tmp_path / "rewards.csv"
    copied.write_bytes(sample.read_bytes())
    record = json.loads(sample.with_name("rewards.csv.meta.json").read_text())
    record["reward"] |= {"name": "judge_only", "signature": load_reward("judge_only").signature}
    copied.with_name("rewards.csv.meta.json").write_text(json.dumps(record))
    assert reward_of(load_scores(copied)) == (
        None,
        "its reward 'judge_only' asks a judge; --preset judge_only asks it for them",
    )
    assert reward_of(load_scores(copied), "judge_only")[0].name == "judge_only"


def test_command_shows_errors_of_a_judge_from_columns(tmp_path):
    table = [{**row, "chexprompt.significant": str(i % 5)} for i, row in enumerate(rows())]
    result = run("evaluate", write(tmp_path / "s.csv", table), "--no-baselines", "--resamples", "100")
    assert "errors in a report" in result.stdout
    assert "chexprompt" in result.stdout


def test_command_cuts_no_number_in_a_wide_table(tmp_path):
    table = [{**row, **{f"metric_{i}": row["reward"] for i in range(8)}} for row in rows()]
    metrics = ",".join(f"metric_{i}" for i in range(8))
    result = run("evaluate", write(tmp_path / "s.csv", table), "--metrics", metrics, "--by", "sex", "--no-baselines")
    assert result.returncode == 0, result.stderr
    assert "…" not in result.stdout


@pytest.mark.shared
def test_all_tables_of_real_reports_with_anothers_report_as_the_candidate(real_reports, tmp_path):
    texts = [f"FINDINGS: {row['findings']} IMPRESSION: {row['impression']}" for row in real_reports]
    table = [
        {
            "case_id": f"c{i}",
            "patient_id": f"p{i // 3}",
            "sex": "FM"[i // 3 % 2],
            "age": str(20 + i % 60),
            "priors": json.dumps(texts[i - i % 3 : i]),
            "candidate": texts[i - 1],
            "reference": text,
            "reward": f"{i % 10 / 10}",
        }
        for i, text in enumerate(texts)
    ]
    path = write(tmp_path / "s.csv", table)
    result = evaluate(load_scores(path), Protocol(by=("sex", "age"), age_edges=(60,)))
    assert all(row.support == row.predicted for labels in result.conditions for row in labels.conditions)
    assert result.conditions[0].conditions[1].support > 200
    assert sum(group.cases for group in result.changes.groups) == len(texts)
    assert all(group.cases >= 10 for group in result.changes.groups)
    assert [group.name for group in result.encounters.groups] == ["1", "2", "3"]
    assert len(result.groups) == 3


def test_reports_in_which_nothing_is_read_have_no_labels_but_reasons(tmp_path):
    table = [{**row, "candidate": "Thank you.", "reference": "Seen and agreed."} for row in rows()]
    result = evaluated(write(tmp_path / "s.csv", table), by=("sex",))
    assert (result.conditions[0].cases, result.conditions[0].unread) == (0, 40)
    assert result.conditions[0].averages[0].f1.reason == "no condition is positive anywhere"
    assert result.groups[0].overall.figures[MICRO_F1].reason == "no scored case"
    assert names(result.changes) == ["first_study", "not_stated"]
