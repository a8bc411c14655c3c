"""What the components with models promise, on tiny random models and on a small real one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cxr_rewards import Case, CompositeReward
from cxr_rewards.cache import MemoryCache, SqliteCache
from cxr_rewards.components.bertscore import Bertscore
from cxr_rewards.components.chexbert_f1 import ChexbertF1
from cxr_rewards.components.radcliq_v0 import RadcliqV0
from cxr_rewards.components.radcliq_v1 import RadcliqV1
from cxr_rewards.components.radgraph_combined import RadgraphCombined
from cxr_rewards.components.radgraph_f1 import RadgraphF1
from cxr_rewards.components.ratescore import Ratescore
from cxr_rewards.components.semb_score import SembScore
from cxr_rewards.components.sentence_set import SentenceSet
from cxr_rewards.core.absent import absent_allowed
from cxr_rewards.core.engine import Engine
from cxr_rewards.core.feature import FeatureTable
from cxr_rewards.errors import ConfigError, ModelLoadError
from cxr_rewards.evaluation import Protocol, evaluate, load_scores
from cxr_rewards.features.bertscore_matching import BertscoreMatching
from cxr_rewards.features.chexbert import ChexbertLabels
from cxr_rewards.features.rate_embeddings import RateEmbeddings
from cxr_rewards.features.rate_entities import RateEntities
from cxr_rewards.features.token_embeddings import TokenEmbeddings
from cxr_rewards.formulas.chexpert import CONDITIONS
from cxr_rewards.formulas.radcliq import Metrics, radcliq
from cxr_rewards.models.pool import POOL
from cxr_rewards.testing.models import SENTENCES
from cxr_rewards.types import Score

PAIRS = [Case(candidate=a, reference=b) for a, b in zip(SENTENCES, SENTENCES[1:] + SENTENCES[:1], strict=True)]
EFFUSION = "Small left pleural effusion."


def table(component, values):
    """A table in which each feature of a component has the value given for a text or pair."""
    return FeatureTable({feature.signature: value for feature, value in zip(component.needs, values, strict=True)})


def test_bertscore_of_real_vectors_prefers_a_paraphrase(minilm):
    score = Bertscore(model=str(minilm), layer=6, baseline=0.0)
    paraphrase = score.score("There is a small effusion in the left pleural space.", EFFUSION).value
    other = score.score("Healed fracture of the right clavicle.", EFFUSION).value
    assert score.score(EFFUSION, EFFUSION).value == pytest.approx(1.0, abs=1e-5)
    assert 1 > paraphrase > other + 0.1 > 0.1


def test_bertscore_measures_and_rescaling(minilm):
    case = ("Left effusion.", "Small left effusion with atelectasis.")
    raw = Bertscore(model=str(minilm), layer=6, baseline=0.0).score(*case)
    p, r, f = (raw.details[key] for key in ("precision", "recall", "f1"))
    assert p > r
    assert f == pytest.approx(2 * p * r / (p + r), abs=1e-6)
    for measure, value in (("precision", p), ("recall", r), ("f1", f)):
        found = Bertscore(model=str(minilm), layer=6, baseline=0.25, measure=measure).score(*case).value
        assert found == pytest.approx((value - 0.25) / 0.75, abs=1e-6)


def test_bertscore_of_no_words_is_the_lowest(models):
    for empty in ("", " \n"):
        assert Bertscore().score(empty, EFFUSION).value == -1.0


def test_idf_comes_from_the_corpus_and_is_part_of_the_signature(minilm, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("no effusion\nno pneumothorax\nno edema\n")
    plain, weighted = (
        Bertscore(model=str(minilm), layer=6, baseline=0.0, idf_corpus=path) for path in ("", str(corpus))
    )
    case = ("no fracture", "no effusion")
    assert weighted.score(*case).value < plain.score(*case).value  # "no" is in every report and weighs little
    signatures = {plain.signature, weighted.signature}
    corpus.write_text("no effusion\nclear lungs\n")
    signatures.add(Bertscore(model=str(minilm), layer=6, baseline=0.0, idf_corpus=str(corpus)).signature)
    assert len(signatures) == 3
    moved = tmp_path / "elsewhere.txt"
    moved.write_text(corpus.read_text())
    assert Bertscore(model=str(minilm), layer=6, baseline=0.0, idf_corpus=str(moved)).signature in signatures


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"\xff\xfe"])
def test_a_corpus_that_cannot_be_read_is_told(minilm, tmp_path, content):
    path = tmp_path / "corpus.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"idf_corpus: .*corpus.txt: (cannot be read|holds no report)"):
        _ = Bertscore(model=str(minilm), layer=6, baseline=0.0, idf_corpus=str(path)).signature


def test_long_texts_are_cut_or_windowed(minilm):
    long = "No effusion. " * 300
    tail = f"{long} Large right pneumothorax."
    cut, windowed = (
        Bertscore(model=str(minilm), layer=6, baseline=0.0, long_texts=mode) for mode in ("truncate", "windows")
    )
    assert cut.score(tail, long).value == pytest.approx(1.0, abs=1e-4)
    assert windowed.score(tail, long).value < 0.9999


def test_matching_many_candidates_of_a_reference_equals_one_by_one(minilm):
    settings = {"model": str(minilm), "layer": 6}
    feature, tokens = BertscoreMatching(**settings), TokenEmbeddings(**settings)
    vectors = dict(zip(SENTENCES, tokens.compute(SENTENCES, FeatureTable({})), strict=True))
    upstream = FeatureTable({tokens.signature: vectors})
    pairs = [(a, b) for a in SENTENCES for b in SENTENCES[:3]]
    from cxr_rewards.core.feature import PairItem

    items = [PairItem(*pair) for pair in pairs]
    together = feature.compute(items, upstream)
    alone = [feature.compute([item], upstream)[0] for item in items]
    assert np.allclose(together, alone, atol=1e-6)
    for (a, b), (p, r, _) in zip(pairs, together, strict=True):
        left, right = vectors[a], vectors[b]
        cosines = left[:, :-1] @ right[:, :-1].T
        assert p == pytest.approx((cosines.max(1) * left[:, -1]).sum() / left[:, -1].sum(), abs=1e-6)
        assert r == pytest.approx((cosines.max(0) * right[:, -1]).sum() / right[:, -1].sum(), abs=1e-6)


def test_bad_settings_are_refused():
    for settings, message in (
        ({"measure": "f2"}, "bertscore: unknown measure 'f2'"),
        ({"layer": -1}, "layer must be 0 or more"),
        ({"baseline": 1.0}, "baseline must be from -1 to below 1"),
        ({"layer": 4}, "no baseline is published for f1 of layer 4 of distilbert/distilroberta-base; set baseline"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda"),
        ({"dtype": "int8"}, "dtype must be float32, bfloat16 or float16"),
        ({"batch_tokens": -1}, "batch_tokens must be 0 or more"),
    ):
        with pytest.raises(ConfigError, match=message):
            Bertscore(**settings)
    with pytest.raises(ConfigError, match="Did you mean 'radgraph-xl'"):
        RadgraphF1(model="radgraph_xl")
    with pytest.raises(ConfigError, match="unknown conditions 7"):
        ChexbertF1(conditions=7)


def test_a_layer_beyond_the_model_ends_the_call(minilm):
    with pytest.raises(ConfigError, match="layer must be 0 to 6"):
        Bertscore(model=str(minilm), layer=7, baseline=0.0).score("a", "b")


def chexbert(candidate, reference, **settings):
    component = ChexbertF1(**settings)
    values = {"c": candidate.ljust(14, "0"), "r": reference.ljust(14, "0")}
    return component.score_case(Case(candidate="c", reference="r"), table(component, [values]))


def test_chexbert_f1_counts_what_is_positive(models):
    score = chexbert("0110", "0111")  # Cardiomegaly and Lung Opacity; the reference has Lung Lesion too
    assert score.value == pytest.approx(4 / 5)
    assert score.details["missed"] == ["Lung Lesion"]
    assert score.details["shared"] == ["Cardiomegaly", "Lung Opacity"]


def test_chexbert_f1_of_two_silent_reports_is_1(models):
    assert chexbert("02", "0").value == 1.0
    assert chexbert("01", "0").value == 0.0


def test_chexbert_f1_knows_three_policies_of_doubt(models):
    case = ("03", "01")  # Cardiomegaly: uncertain, and positive
    assert chexbert(*case).value == 1.0
    assert chexbert(*case, uncertain="negative").value == 0.0
    assert chexbert(*case, uncertain="ignore").value == 1.0


def test_chexbert_f1_over_five_and_without_no_finding(models):
    assert chexbert("011", "01", conditions=5).value == 1.0  # Lung Opacity is none of the five
    normal = ("0" * 13 + "1", "0" * 14)
    assert chexbert(*normal).value == 0.0
    assert chexbert(*normal, no_finding=False).value == 1.0


def test_chexbert_statistics_of_a_file(models):
    component = ChexbertF1()
    rows = [row[0] for row in Engine({"c": component}).run(PAIRS)]
    kept = [Score(row.value, {"labels": row.details["labels"]}) for row in rows]
    found = component.corpus(kept)
    assert set(found) == {"micro_f1_14", "macro_f1_14", "micro_f1_5", "macro_f1_5"}
    assert found == component.corpus(rows)
    assert 0 < found["micro_f1_14"] < 1


def test_semb_score_is_a_cosine(models):
    score = SembScore()
    assert score.score(EFFUSION, EFFUSION).value == pytest.approx(1.0)
    values = [row[0].value for row in Engine({"s": score}).run(PAIRS)]
    assert all(-1 <= value < 1 for value in values)
    assert len(set(values)) == len(values)


def rate(candidate, reference, vectors, **settings):
    component = Ratescore(**settings)
    entities, embeddings = component.needs
    sides = {"c x": candidate, "r x": reference}
    features = FeatureTable(
        {
            entities.signature: sides,
            embeddings.signature: {
                key: np.array([vectors[name] for name, _ in named], dtype=np.float32).reshape(len(named), 2)
                for key, named in sides.items()
            },
        }
    )
    return component.score_case(Case(candidate="c x", reference="r x"), features).value


VECTORS = {"effusion": (1.0, 0.0), "lungs": (0.0, 1.0), "fluid": (0.8, 0.6)}


def test_ratescore_counted_by_hand(models):
    # One entity each: cosine .8, and the weight of the pair cancels out.
    assert rate([["fluid", "DISEASE"]], [["effusion", "DISEASE"]], VECTORS) == pytest.approx(0.8)
    # One said, one denied: both directions shrink by the penalty.
    denied = rate([["fluid", "NON-DISEASE"]], [["effusion", "DISEASE"]], VECTORS)
    assert denied == pytest.approx(0.8 * 0.8716553966489615)
    # Two against one, long weights: disease-disease .846..., anatomy-disease .459...
    w_dd, w_ad = 0.8460555030578727, 0.4592143222158069
    forth = (0.8 * w_dd + 0.0 * w_ad) / (w_dd + w_ad)
    found = rate([["fluid", "DISEASE"], ["lungs", "ANATOMY"]], [["effusion", "DISEASE"]], VECTORS)
    assert found == pytest.approx(2 * forth * 0.8 / (forth + 0.8), abs=1e-6)


def test_ratescore_without_entities_is_half_and_without_words_nothing(models):
    assert rate([], [["effusion", "DISEASE"]], VECTORS) == 0.5
    assert rate([["effusion", "DISEASE"]], [], VECTORS) == 0.5
    assert Ratescore().score(" ...", EFFUSION).value == 0.0
    assert rate([["lungs", "ANATOMY"]], [["effusion", "DISEASE"]], VECTORS) == 0.0


def test_an_empty_text_does_not_shift_the_pairs_of_its_neighbours(models):
    score = Engine({"r": Ratescore()})
    alone = [score.run([case])[0][0].value for case in PAIRS]
    mixed = [row[0].value for row in score.run([PAIRS[0], Case(candidate="", reference=EFFUSION), *PAIRS[1:]])]
    assert mixed[1] == 0.0
    assert [mixed[0], *mixed[2:]] == pytest.approx(alone, abs=1e-5)


def test_entities_are_those_of_each_sentence(models):
    feature = RateEntities()
    joined, *alone = feature.compute([" ".join(SENTENCES), *SENTENCES], FeatureTable({}))
    assert joined == [entity for of_sentence in alone for entity in of_sentence]
    assert {kind for _, kind in joined} <= {"ABNORMALITY", "NON-ABNORMALITY", "DISEASE", "NON-DISEASE", "ANATOMY"}
    assert len({kind for _, kind in joined}) == 5
    vectors = RateEmbeddings()
    (found,) = vectors.compute(["x"], FeatureTable({feature.signature: {"x": joined}}))
    assert found.shape[0] == len(joined)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_radcliq_is_arithmetic_on_the_four_components(models):
    parts = {"bertscore": Bertscore(), "semb_score": SembScore(), "radgraph_combined": RadgraphCombined()}
    engine = Engine({**parts, "v0": RadcliqV0(), "v1": RadcliqV1()})
    for row, case in zip(engine.run(PAIRS), PAIRS, strict=True):
        bertscore, semb, graph, v0, v1 = row
        bleu = CompositeReward(["bleu"]).score(case.candidate, case.reference).value
        metrics = Metrics(graph.value, bertscore.value, semb.value, bleu)
        assert v1.details == pytest.approx(metrics._asdict(), abs=1e-6)
        assert v0.value == pytest.approx(radcliq(metrics, "v0"), abs=1e-6)
        assert v1.value == pytest.approx(radcliq(metrics, "v1"), abs=1e-6)


def test_radcliq_of_a_file_is_the_inverse_of_its_mean():
    assert RadcliqV1().corpus([Score(0.5), Score(1.5)]) == {"1/mean": 1.0}
    assert RadcliqV1().corpus([Score(-0.5), Score(0.2)]) == {"1/mean": None}
    assert RadcliqV0().corpus([]) == {"1/mean": None}


def test_a_reward_must_rise_where_radcliq_falls(models):
    with pytest.raises(ConfigError, match="radcliq_v1"):
        CompositeReward(["radcliq_v1"], weights={"radcliq_v1": 1.0})
    reward = CompositeReward.from_preset("radcliq")
    assert reward.bounds == (0.0, 2.0)
    found = reward.score(EFFUSION, EFFUSION)
    assert found.value == pytest.approx(2 / (1 + math.exp(found.parts["radcliq_v1"].value)))


def test_sentence_set_ignores_order_and_names_the_worst(minilm):
    score = SentenceSet(model=str(minilm))
    reference = f"{EFFUSION} The heart is normal in size. Old rib fractures."
    shuffled = score.score(f"Old rib fractures. {EFFUSION} The heart is normal in size.", reference)
    assert shuffled.value == pytest.approx(1.0, abs=1e-5)
    less = score.score(f"{EFFUSION} The heart is normal in size.", reference)
    assert less.value < 0.95
    assert less.details["missed"][0] == "Old rib fractures."
    assert score.score("", reference).value == -1.0
    assert score.score(EFFUSION, "...").failure.error == "no sentence in the reference"


@pytest.mark.parametrize("preset", ["unirg", "unirg_xl", "unirg_radcliq", "radcliq", "rexrank", "radeval_bertscore"])
def test_presets_score_and_each_model_is_held_once(models, preset):
    POOL.release()
    settings = {"radeval_bertscore": {"layer": 3, "baseline": 0.0}} if preset == "radeval_bertscore" else {}
    reward = CompositeReward.from_preset(preset, settings=settings)
    rewards = reward.score_batch(PAIRS)
    assert all(r.value is not None for r in rewards)
    assert len({round(r.value, 6) for r in rewards}) > 6
    names = [(loaded.name, loaded.device, loaded.dtype) for loaded in POOL.report()]
    assert len(names) == len(set(names))
    assert sum(loaded.bytes for loaded in POOL.report()) > 10_000
    reward.release()
    assert POOL.report() == []
    assert [r.value for r in reward.score_batch(PAIRS)] == pytest.approx([r.value for r in rewards], abs=1e-5)


REXRANK = ["bleu_score", "bertscore", "semb_score", "radgraph_combined", "RadCliQ-v1", "RaTEScore"]


def test_the_rexrank_preset_has_its_eight_columns_in_order(models):
    judge = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
    reward = CompositeReward.from_preset("rexrank", judge=judge)
    assert list(reward.components) == [*REXRANK, "GREEN", "FineRadScore"]


def test_the_rexrank_preset_leaves_out_two_columns_without_a_judge_and_says_so(models, caplog):
    reward = CompositeReward.from_preset("rexrank")
    assert list(reward.components) == REXRANK
    (record,) = caplog.records
    assert record.getMessage() == (
        "preset rexrank: left out, because no judge is configured: GREEN, FineRadScore. Give its model and base_url in the "
        "table [judge], or in CXR_REWARDS_JUDGE_MODEL and CXR_REWARDS_JUDGE_URL"
    )


def test_a_rexrank_case_whose_judge_fails_keeps_its_reward_and_the_other_columns(models):
    judge = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "deadline_s": 0.5, "timeout_s": 0.5}
    result = CompositeReward.from_preset("rexrank", judge=judge).score(PAIRS[0].candidate, PAIRS[0].reference)
    assert result.value is not None
    assert (result.parts["GREEN"].value, result.parts["GREEN"].failure.kind) == (None, "transport")


def test_unirg_xl_takes_the_third_value_that_the_radgraph_package_returns(models):
    reward = CompositeReward.from_preset("unirg_xl")
    assert {k: t.weight for k, t in reward.total.terms.items()} == {
        "bleu": 0.0, "bertscore": 0.370, "semb_score": 0.253, "radgraph_f1": 0.377,
    }  # fmt: skip
    for scored in reward.score_batch(PAIRS):
        part = scored.parts["radgraph_f1"]
        assert part.value == part.details["complete"]
    component = reward.components["radgraph_f1"]
    assert (component.model, component.case_sensitive) == ("radgraph-xl", True)


def test_unirg_weighs_as_the_paper_and_its_sibling_as_radcliq():
    with absent_allowed():
        paper, slopes = (CompositeReward.from_preset(name).total.terms for name in ("unirg", "unirg_radcliq"))
    assert {k: t.weight for k, t in paper.items()} == {
        "bleu": 0.0, "bertscore": 0.370, "semb_score": 0.253, "radgraph_combined": 0.377,
    }  # fmt: skip
    raw = {"bertscore": 1.65084533, "semb_score": 0.99477171, "radgraph_combined": 1.24521633}
    for name, slope in raw.items():
        assert slopes[name].weight == pytest.approx(slope / sum(raw.values()), abs=5e-4)


def test_absent_weights_are_an_error_at_construction(tmp_path, monkeypatch):
    monkeypatch.setenv("CXR_REWARDS_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelLoadError, match="cxr-rewards fetch"):
        CompositeReward.from_preset("unirg")


def test_device_numbers_and_batches_are_set_for_the_whole_reward(models):
    reward = CompositeReward.from_preset("unirg", device="cpu", dtype="bfloat16", batch_tokens=100)
    for name in ("bertscore", "semb_score", "radgraph_combined"):
        component = reward.components[name]
        assert (component.device, component.dtype, component.batch_tokens) == ("cpu", "bfloat16", 100)
    own = CompositeReward.from_preset("unirg", dtype="bfloat16", settings={"bertscore": {"dtype": "float32"}})
    assert own.components["bertscore"].dtype == "float32"
    assert own.components["semb_score"].dtype == "bfloat16"


def test_several_devices_share_the_work(models):
    one = CompositeReward.from_preset("unirg", device="cpu").score_batch(PAIRS)
    POOL.release()
    two = CompositeReward.from_preset("unirg", device="cpu,cpu:0", batch_tokens=20).score_batch(PAIRS)
    assert {loaded.device for loaded in POOL.report()} == {"cpu", "cpu:0"}
    assert [r.value for r in two] == pytest.approx([r.value for r in one], abs=1e-5)


def test_references_outlive_the_call_and_candidates_do_not(models, monkeypatch):
    encoded = []
    compute = ChexbertLabels.compute
    monkeypatch.setattr(
        ChexbertLabels, "compute", lambda self, items, up: (encoded.extend(items), compute(self, items, up))[1]
    )
    reward = CompositeReward(["chexbert_f1"], cache=MemoryCache())
    reward.score_batch([Case(candidate="one", reference="truth"), Case(candidate="two", reference="truth")])
    reward.score_batch([Case(candidate="one", reference="truth")])
    assert sorted(encoded) == ["one", "one", "truth", "two"]


def test_a_cache_file_warmed_ahead_leaves_only_candidates_to_the_models(models, tmp_path, monkeypatch):
    with SqliteCache(tmp_path / "cache.sqlite") as cache:
        reward = CompositeReward.from_preset("unirg", cache=cache)
        computed = reward.warm([case.reference for case in PAIRS])
        assert computed["chexbert_embedding"] == computed["radgraph_annotations"] == len(PAIRS)
        assert sum(reward.warm([case.reference for case in PAIRS]).values()) == 0
        warm = reward.score_batch(PAIRS)
    cold = CompositeReward.from_preset("unirg").score_batch(PAIRS)
    assert [r.value for r in warm] == pytest.approx([r.value for r in cold], abs=1e-5)


def test_chexbert_labels_the_reports_of_an_evaluation_if_asked(models, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("candidate,reference,reward\n" + f"{EFFUSION},No effusion.,0.5\n" * 6 + ",No effusion.,\n")
    result = evaluate(load_scores(path), Protocol(chexbert=True, resamples=100))
    assert [table.labeler for table in result.conditions] == ["rules", "rules", "chexbert", "chexbert"]
    (labels,) = {tuple(ChexbertF1().score(EFFUSION, "No effusion.").details["labels"])}
    supports = {row.name: row.support for row in result.conditions[2].conditions}
    assert all((supports[name] >= 6) == (digit in "13") for name, digit in zip(CONDITIONS, labels[1], strict=True))
