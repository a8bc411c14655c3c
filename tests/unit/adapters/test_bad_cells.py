"""One cell that cannot be read costs its own case: through every adapter the neighbours keep exactly their values."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from cxr_rewards import CompositeReward
from cxr_rewards.adapters import swift, verifiers, verl
from cxr_rewards.adapters.cells import completion_of_cell, context_of, fields_of, plain, priors_of, rows_of
from cxr_rewards.adapters.rollouts import Rollouts
from cxr_rewards.adapters.samples import Samples
from cxr_rewards.errors import ConfigError, InputError
from cxr_rewards.remote.base import ElsewhereReward, RewardInfo, describe, score_of, score_table
from cxr_rewards.types import Failure

pandas = pytest.importorskip("pandas")

REFERENCE = "Small left pleural effusion."
UNSCORED = -5.0


class Foreign:
    """An object that nobody can look at."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __eq__ = __ne__ = __repr__
    __hash__ = object.__hash__


NO_TEXT = [
    None, float("nan"), 7, 0.5, True, b"Clear lungs.", pandas.NA, pandas.NaT, np.float64("nan"), np.int64(3),
    np.array(None), np.array([1, 2]), {}, {"text": "Clear."}, ["Clear."], object(), Foreign(),
]  # fmt: skip
NO_REPORT = [
    *NO_TEXT, [7], [None], {"role": "assistant"}, {"role": "assistant", "content": 7}, [{"type": "image"}],
    [{"role": "assistant", "content": [{"type": "image", "image": object()}]}],
    [{"role": "user", "content": "Report."}, {"role": "assistant", "content": b"Clear."}],
]  # fmt: skip
NO_PRIORS = [7, True, b"Clear.", {"a": "b"}, ["Clear.", None], [float("nan")], [pandas.NA], [["Clear."]], "[1, 2]",
             '["Clear.", null]', np.array(["Clear.", None], dtype=object), Foreign()]  # fmt: skip

EMPTY = [None, float("nan"), pandas.NA, np.array(None), "", "  ", [], (), np.array([]), "[]"]


class Near(ElsewhereReward):
    """A reward elsewhere that is here: what goes over the wire is JSON all the same."""

    def __init__(self, reward):
        self.reward = reward
        super().__init__(RewardInfo.parse(describe(reward), "near"))

    def send(self, cases):
        assert all(isinstance(case.candidate, str) and isinstance(case.reference, str) for case in cases)
        return [tuple(score_of(score_table(s, ())) for s in row) for row in self.reward.parts(cases)]


def through_callable(rows, reward=None):
    completions, references, priors, ages = zip(*rows, strict=True)
    score = Rollouts(reward=reward or CompositeReward(), priors="before", context=["age"], unscored=UNSCORED)
    return score(completions, reference=references, before=priors, age=ages)


def through_elsewhere(rows):
    return through_callable(rows, Near(CompositeReward()))


def through_trl(rows, asynchronous=False):
    completions, references, priors, ages = map(list, zip(*rows, strict=True))
    score = CompositeReward().as_trl(priors="before", context=["age"], asynchronous=asynchronous)
    result = score(
        prompts=["p"] * len(rows), completions=completions, reference=references, before=priors, age=ages,
        log_extra=lambda name, values: None, log_metric=lambda name, value: None,
    )  # fmt: skip
    return [UNSCORED if value is None else value for value in (asyncio.run(result) if asynchronous else result)]


def through_swift(rows):
    made = type(
        "cxr", (swift.SwiftReward,), {"options": {"priors": "before", "context": ["age"], "unscored": UNSCORED}}
    )
    completions, references, priors, ages = map(list, zip(*rows, strict=True))
    return made()(completions, reference=references, before=priors, age=ages, prompt_id=["a"] * len(rows))


OPTIONS = {"config": "rules", "unscored": UNSCORED, "priors": "before", "context": ["age"]}


def fields(row):
    return {"before": row[2], "age": row[3]}


def through_verl(rows):
    async def run():
        return await asyncio.gather(
            *(verl.compute_score("cxr", row[0], row[1], fields(row), **OPTIONS) for row in rows)
        )

    return [sample["score"] for sample in asyncio.run(run())]


def through_verl_batches(rows):
    columns = [list(column) for column in zip(*((row[0], row[1], fields(row)) for row in rows), strict=True)]
    return [sample["score"] for sample in verl.compute_scores(["cxr"] * len(rows), *columns, **OPTIONS)]


def through_rubric(rows):
    funcs, _ = verifiers.reward_funcs(**OPTIONS)

    async def run():
        return await asyncio.gather(*(funcs[0](row[0], row[1], {}, fields(row)) for row in rows))

    return asyncio.run(run())


def through_trace(rows):
    class Trace:
        def __init__(self, reply):
            self.last_reply = reply

        def record_metric(self, name, value):
            assert float(value) == value

    async def run():
        scored = (verifiers.score_trace(Trace(r[0]), {"reference": r[1], **fields(r)}, **OPTIONS) for r in rows)
        return await asyncio.gather(*scored)

    return asyncio.run(run())


ADAPTERS = [
    through_callable, through_elsewhere, through_trl, lambda rows: through_trl(rows, asynchronous=True), through_swift,
    through_verl, through_verl_batches, through_rubric, through_trace,
]  # fmt: skip
GOOD = [
    (REFERENCE, REFERENCE, ["Clear lungs."], 60),
    ("Left effusion and edema.", REFERENCE, None, None),
    ([{"role": "assistant", "content": "Clear lungs."}], REFERENCE, "The lungs are clear.", "61"),
]


@pytest.mark.parametrize("through", ADAPTERS)
@pytest.mark.parametrize("place", ["completion", "reference", "priors"])
@pytest.mark.filterwarnings("ignore:unscored")
def test_a_cell_that_cannot_be_read_costs_its_case_alone(through, place):
    """All of a kind at once, with good cases between them."""
    bad = [
        {"completion": (cell, REFERENCE, None, 60), "reference": (REFERENCE, cell, None, 60),
         "priors": (REFERENCE, REFERENCE, cell, 60)}[place]
        for cell in {"completion": NO_REPORT, "reference": NO_TEXT, "priors": NO_PRIORS}[place]
    ]  # fmt: skip
    alone = through(GOOD)
    assert UNSCORED not in alone
    values = through([row for i, odd in enumerate(bad) for row in (GOOD[i % 3], odd)])
    assert values[1::2] == [UNSCORED] * len(bad)
    assert values[::2] == [alone[i % 3] for i in range(len(bad))]


@pytest.mark.parametrize("through", ADAPTERS)
def test_an_empty_cell_of_priors_or_context_is_none(through):
    rows = [(REFERENCE, REFERENCE, cell, None) for cell in EMPTY]
    rows += [(REFERENCE, REFERENCE, None, cell) for cell in (None, float("nan"), pandas.NA, np.float64("nan"))]
    assert through(rows) == through([(REFERENCE, REFERENCE, None, None)]) * len(rows)


def test_a_context_that_cannot_be_shown_costs_its_case_alone():
    values = through_callable([GOOD[0], (REFERENCE, REFERENCE, None, Foreign()), GOOD[1]])
    assert values == [*through_callable(GOOD[:1]), UNSCORED, *through_callable(GOOD[1:2])]


@pytest.mark.parametrize(
    ("row", "reason", "kind"),
    [
        (
            (None, "r", None),
            "rollout: a completion must be a text, a message or a list of messages, got None",
            "missing_text",
        ),
        (
            ([{"content": [{"type": "image"}]}], "r", None),
            "rollout: a completion must hold text, got [",
            "invalid_input",
        ),
        (("c", None, None), "reference: expected text, got None", "missing_text"),
        (("c", "r", 7), "rollout: priors must be a text or a list of texts, got 7", "invalid_input"),
        (("c", "r", ["a", None]), "priors[1]: expected text, got None", "missing_text"),
    ],
)
def test_the_reason_says_what_was_found(row, reason, kind):
    rollouts = Rollouts(reward=CompositeReward(), priors="before")
    scored = rollouts.score([row[0]], {"reference": [row[1]], "before": [row[2]]})
    assert scored.values == [None]
    assert scored.rewards[0].reasons.startswith(reason)
    assert scored.rewards[0].kinds == (kind,)


def test_rollouts_without_a_group_are_grouped_by_what_they_share():
    columns = {"reference": ["x", "x", "y", "y", "z"], "g": [None, float("nan"), Foreign(), "b", 7]}
    groups = [case.group for case in Rollouts(reward=CompositeReward(), group="g").cases(list("abcde"), columns)]
    assert groups[0] == groups[1] != groups[2]
    assert groups[3:] == ["b", "7"]


def test_prompts_that_cannot_be_read_still_tell_groups_apart():
    prompts = [None, None, 7, [None], [{"role": "user", "content": 7}]]
    groups = [c.group for c in Rollouts(reward=CompositeReward()).cases(["a"] * 5, {"reference": ["x"] * 5}, prompts)]
    assert groups[0] == groups[1] != groups[2]


# Columns


def arrow(values):
    return pytest.importorskip("pyarrow").chunked_array([values])


def dataset(values):
    return pytest.importorskip("datasets").Dataset.from_dict({"x": values})["x"]


def tensor(values):
    return pytest.importorskip("torch").tensor(values)


FORMS = [
    tuple, iter, np.array, lambda values: np.array(values, dtype=object), dataset, arrow,
    lambda values: pandas.Series(values, index=range(7, 7 + len(values))[::-1]),
]  # fmt: skip
TEXTS = ["Left effusion.", "Clear lungs.", "Edema."]


@pytest.mark.parametrize("form", FORMS)
def test_columns_come_in_many_forms(form):
    plainly = Rollouts(reward=CompositeReward(), priors="before", context=["age"], group="g")
    columns = {"reference": ["Left effusion."] * 3, "before": ["Edema.", "", "Clear lungs."], "age": [60, 61, 62]}
    expected = plainly.cases(TEXTS, {**columns, "g": ["1", "2", "1"]}, ["p", "q", "r"])
    given = {name: form(values) for name, values in columns.items()}
    assert plainly.cases(form(TEXTS), {**given, "g": form(["1", "2", "1"])}, form(["p", "q", "r"])) == expected
    trl = CompositeReward().as_trl(priors="before", context=["age"])
    given = {name: form(values) for name, values in columns.items()}
    assert trl(completions=form(TEXTS), **given) == trl(completions=TEXTS, **columns)


def test_columns_of_numbers_may_be_tensors():
    rollouts = Rollouts(reward=CompositeReward(), context=["age"], group="g")
    numbers = {"age": tensor([60, 61]), "g": tensor([1, 2])}
    cases = rollouts.cases(["a", "b"], {"reference": ["r", "r"], **numbers})
    assert [(case.context, case.group) for case in cases] == [({"age": "60"}, "1"), ({"age": "61"}, "2")]


@pytest.mark.parametrize("kind", [swift.SwiftReward, None])
@pytest.mark.parametrize("cells", ["a text", {"a": 1}, None, 7, np.array("x"), b"x"])
def test_a_value_that_is_not_a_column_is_reported(cells, kind):
    score = kind() if kind else CompositeReward().as_trl()
    with pytest.raises(InputError, match="column 'reference' must be a list with a cell for each completion, got"):
        score(completions=["a"], reference=cells)


def test_an_error_of_the_whole_call_is_reported():
    score = CompositeReward().as_trl()
    with pytest.raises(ConfigError, match="unknown column 'reference'; known: refrence. Did you mean"):
        score(completions=["a"], refrence=["x"], trainer_state=None, environments=7)
    with pytest.raises(InputError, match="column 'prompts' has 2 cells for 1 completions"):
        score(prompts=["a", "b"], completions=["a"], reference=["x"])
    with pytest.raises(InputError, match="column 'completions' must be a list"):
        score(completions="abc", reference=["x"] * 3)
    with pytest.raises(InputError, match="2 solution_strs, 1 ground_truths and 2 extra_infos: lengths differ"):
        verl.compute_scores(["cxr"] * 2, ["a", "b"], ["x"], None, **OPTIONS)


# Fields


@pytest.mark.parametrize(
    "extra",
    [
        {"before": ["Edema."]}, '{"before": ["Edema."]}', {"before": '["Edema."]'}, {"before": np.array(["Edema."])},
        np.array({"before": ["Edema."]}, dtype=object), pandas.Series({"before": ["Edema."], "x": 1}),
        {"before": pandas.Series(["Edema."], index=[4])},
    ],
)  # fmt: skip
def test_extra_info_comes_in_many_forms(extra):
    samples = Samples(config="rules", unscored=UNSCORED, priors="before")
    assert samples.case("a", "r", extra).priors == ("Edema.",)


def test_extra_info_of_arrow_is_read():
    pyarrow = pytest.importorskip("pyarrow")
    row = pyarrow.array([{"before": ["Edema."], "age": 60}])[0]
    case = Samples(**OPTIONS).case("a", "r", row)
    assert (case.priors, case.context) == (("Edema.",), {"age": "60"})


@pytest.mark.parametrize("extra", [None, {}, "", " ", float("nan"), pandas.NA, np.array(None), "{}", "about it"])
def test_extra_info_may_be_empty_or_prose(extra):
    case = Samples(**OPTIONS).case("a", "r", extra)
    assert (case.candidate, case.priors, case.context) == ("a", (), {})


@pytest.mark.parametrize("extra", ['{"before": ["Edema."', "[1]", 7, ["Edema."], b"{}", "{" * 100_000])
def test_extra_info_of_another_kind_costs_its_sample_alone(extra):
    """Nobody can tell whether priors were meant to be in it."""

    async def run():
        given = (None, extra, None)
        return await asyncio.gather(*(verl.compute_score("cxr", "a", "Edema.", one, **OPTIONS) for one in given))

    one, lost, other = asyncio.run(run())
    assert (lost["score"], lost["unscored"]) == (UNSCORED, 1.0)
    assert one == other
    case = Samples(**OPTIONS).case("a", "r", extra)
    assert isinstance(case.candidate, Failure)
    assert "the fields of a sample must be an object, or one as JSON, got" in str(case.candidate)


# Cells


def test_cells_are_unwrapped():
    assert [plain(cell) for cell in (np.float32(0.5), np.array([1, 2]), np.str_("a"), pandas.NaT)] == [
        0.5,
        [1, 2],
        "a",
        None,
    ]
    assert type(plain(np.str_("a"))) is str
    assert context_of({"age": np.int64(60), "sex": np.str_("F"), "bmi": float("nan")}) == {"age": "60", "sex": "F"}
    assert priors_of(pandas.Series(["a", " "], index=[3, 9])) == ("a",)
    assert priors_of("[" * 100_000) == ("[" * 100_000,)
    assert fields_of(' {"a": 1}') == {"a": 1}
    assert rows_of(np.array(["a"])) == ["a"]
    assert rows_of(np.array("a")) is rows_of("a") is rows_of({"a": 1}) is None


@pytest.mark.parametrize(
    "completion",
    [[], "", {"content": None}, {"content": []}, [{"role": "assistant", "content": None, "tool_calls": []}]],
)
def test_a_policy_that_writes_nothing_has_written_an_empty_report(completion):
    rollouts = Rollouts(reward=CompositeReward())
    assert rollouts.report_of(completion) == ""
    assert rollouts([completion], reference=[REFERENCE])[0] is not None


def test_a_message_of_parts_in_an_array_is_read():
    parts = np.array([{"type": "text", "text": "Clear."}], dtype=object)
    assert completion_of_cell(np.array([{"role": "assistant", "content": parts}], dtype=object)) == [
        {"role": "assistant", "content": [{"type": "text", "text": "Clear."}]}
    ]
