"""Files of ratings and preferences are read in each of their forms; errors name file, row and column."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.evaluation.calibration.rating_columns import RatingColumns
from cxr_rewards.evaluation.calibration.ratings import read_ratings

nan = float("nan")
WIDE = "case,reference,candidate,rater_1,rater_2\ns1,Small effusion.,Small effusion.,5,4\ns1,Small effusion.,Clear lungs.,1,\n"


@pytest.fixture
def write(tmp_path):
    def put(text, name="ratings.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return put


def same(values, expected):
    np.testing.assert_array_equal(values, np.array(expected, dtype=float))


def test_a_column_for_each_rater_is_read_with_what_is_missing(write):
    ratings = read_ratings(write(WIDE))
    assert ratings.raters == ("rater_1", "rater_2")
    same(ratings.values, [[5, 4], [1, nan]])
    assert [case.candidate for case in ratings.cases] == ["Small effusion.", "Clear lungs."]
    judged = ratings.judgments()
    same(judged.values, [4.5, 1])
    same(judged.order, [1])
    same(judged.share, [1])


def test_a_row_for_each_rater_makes_one_candidate_of_its_rows(write):
    path = write(
        "case,candidate_id,reference,candidate,rater,rating\n"
        "s1,A,Small effusion.,Small effusion.,anna,5\ns1,B,Small effusion.,Clear.,anna,2\n"
        "s1,A,Small effusion.,Small effusion.,ben,4\n"
    )
    ratings = read_ratings(path)
    assert ratings.raters == ("anna", "ben")
    same(ratings.values, [[5, 4], [2, nan]])


def test_a_list_of_ratings_is_read_from_json_and_from_text(write):
    row = {"case": 7, "reference": "Effusion.", "candidate": "Effusion.", "age": "061Y", "ratings": [4, None, 5]}
    for path in (
        write(json.dumps(row) + "\n", "ratings.jsonl"),
        write('case,reference,candidate,age,ratings\n7,Effusion.,Effusion.,061Y,"[4, null, 5]"\n'),
    ):
        ratings = read_ratings(path)
        same(ratings.values, [[4, nan, 5]])
        assert ratings.groups == ("7",)
        assert ratings.cases[0].context == {"age": "061Y"}


def test_counts_of_errors_add_up_and_fewer_are_better(write):
    path = write(
        "study_number,candidate_type,error_category,clinically_significant,rater_index,num_errors\n"
        "0,bleu,1,True,0,2\n0,bleu,2,True,0,1\n0,bleu,1,False,0,4\n0,radgraph,1,False,0,1\n0,radgraph,1,True,1,0\n"
    )
    texts = write("study_id,gt_report,radgraph,bleu\n0,Small effusion.,Effusion.,Clear lungs.\n", "texts.csv")
    columns = RatingColumns(
        case="study_number", candidate=("radgraph", "bleu"), errors=True, only={"clinically_significant": "True"}
    )
    ratings = read_ratings(path, columns, texts=texts)
    assert [case.candidate for case in ratings.cases] == ["Clear lungs.", "Effusion."]
    assert {case.reference for case in ratings.cases} == {"Small effusion."}
    same(ratings.values, [[-3, nan], [0, 0]])


def test_columns_of_counts_are_added_under_the_name_of_a_rater(write):
    path = write("reference,candidate,a1,a2,b1\nEffusion.,Clear.,1,2,5\n")
    columns = RatingColumns(ratings=("anna=a1+a2", "b1"), errors=True)
    ratings = read_ratings(path, columns)
    assert ratings.raters == ("anna", "b1")
    same(ratings.values, [[-3, -5]])
    assert ratings.groups == ("Effusion.",), "without a column of cases the reference is the case"


def test_preferences_with_ties_are_read_whichever_side_they_are_on(write):
    path = write(
        "case,reference,candidate_a,candidate_b,preferred,rater\n"
        "s1,Effusion.,Effusion.,Clear.,a,anna\ns1,Effusion.,Clear.,Effusion.,candidate_b,ben\n"
        "s1,Effusion.,Effusion.,Normal.,tie,anna\ns1,Effusion.,Clear.,Normal.,,anna\n"
    )
    ratings = read_ratings(path)
    assert ratings.values is None
    assert [case.candidate for case in ratings.cases] == ["Effusion.", "Clear.", "Normal."]
    assert ratings.pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    same(ratings.preferred, [[1, 1], [0, nan], [nan, nan]])
    same(ratings.judgments().share, [1, 0.5, nan])


def test_taking_some_candidates_keeps_only_whole_pairs(write):
    path = write("case,reference,candidate_a,candidate_b,preferred\ns1,R.,A.,B.,1\ns1,R.,B.,C.,2\n")
    taken = read_ratings(path).take([1, 2])
    assert taken.pairs.tolist() == [[0, 1]]
    same(taken.preferred, [[-1]])


def test_ratings_without_reports_are_read_if_none_are_needed(write):
    path = write("case,rater_1,rater_2\ns1,5,4\n")
    assert read_ratings(path, texts_needed=False).cases[0].candidate == ""
    with pytest.raises(InputError, match="no column for the candidate"):
        read_ratings(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WIDE.replace("5,4", "good,4"), r"ratings.csv: row 1 \(line 2\), column 'rater_1': expected a number .*'good'"),
        (WIDE.replace("s1,Small effusion.,Clear", ",Small effusion.,Clear"), r"row 2 \(line 3\), column 'case': names no case"),
        ("case,reference,candidate\ns1,R.,C.\n", "no column of ratings or preferences; columns: case, reference, candidate"),
        ("case,reference,candidate,rater,rating\ns1,R.,C.,,3\n", r"row 1 \(line 2\), column 'rater': names no rater"),
        (
            "case,reference,candidate,rater,rating\ns1,R.,C.,anna,3\ns1,R.,C.,anna,4\n",
            r"row 2 \(line 3\): 'anna' rates this candidate a second time",
        ),
        (
            "case,reference,candidate_a,candidate_b,preferred\ns1,R.,A.,B.,yes\n",
            r"row 1 \(line 2\), column 'preferred': unknown preference 'yes'",
        ),
        (
            "case,reference,candidate_a,candidate_b,preferred\ns1,R.,A.,A.,a\n",
            r"row 1 \(line 2\): compares a candidate with itself",
        ),
        (
            "case,reference,candidate_a,candidate_b,preferred\ns1,R.,A.,B.,a\ns1,R.,B.,A.,a\n",
            r"row 2 \(line 3\): 'rater' compares these two a second time",
        ),
        ("case,reference,candidate,ratings\ns1,R.,C.,4\n", r"row 1 \(line 2\), column 'ratings': expected a list"),
        ("case,reference,candidate,rater_1\n", "but no rows"),
    ],
)  # fmt: skip
def test_an_error_names_file_row_and_column(write, text, message):
    with pytest.raises(InputError, match=message):
        read_ratings(write(text))


def test_a_column_that_is_not_there_is_named_with_the_nearest(write):
    with pytest.raises(InputError, match="unknown column 'rater_3'.*Did you mean 'rater_"):
        read_ratings(write(WIDE), RatingColumns(ratings=("rater_3",)))


def test_a_candidate_without_its_report_is_named(write):
    path = write("case,candidate_id,rater_1\ns1,A,5\ns1,B,4\n")
    texts = write("case,candidate_id,reference,candidate\ns1,A,R.,C.\n", "texts.csv")
    with pytest.raises(InputError, match=r"row 2 .*no report of candidate 'B' of case 's1' in .*texts.csv: it has 'A'"):
        read_ratings(path, texts=texts)


def test_preferences_are_not_counts(write):
    path = write("case,reference,candidate_a,candidate_b,preferred\ns1,R.,A.,B.,a\n")
    with pytest.raises(ConfigError, match="preferences are not counts"):
        read_ratings(path, RatingColumns(errors=True))
