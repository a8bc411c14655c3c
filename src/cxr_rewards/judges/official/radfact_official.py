"""RadFact as published: its messages with examples, in YAML, one request for each phrase."""

from __future__ import annotations

import ast
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cxr_rewards.core.feature import Batch, FeatureTable, Over, PairItem
from cxr_rewards.core.settings import setting
from cxr_rewards.errors import ConfigError, VerdictParseError, shorten
from cxr_rewards.judges.chat import Question
from cxr_rewards.judges.details import ReplyText
from cxr_rewards.judges.official import store
from cxr_rewards.judges.official.reply import OfficialJudge, OfficialReply
from cxr_rewards.judges.official.yaml_reply import yaml_in
from cxr_rewards.judges.prompt import Messages
from cxr_rewards.judges.protocols.radfact import Entailment, Radfact
from cxr_rewards.judges.reading import only_keys
from cxr_rewards.judges.reply import JudgeReply
from cxr_rewards.types import Case, Failure, Score

_FAILURES = (
    "Count failures as the published code does: a request without a verdict is a phrase that is not entailed, and a "
    "candidate without phrases has no precision."
)
_STATUSES = {"entailment": True, "not_entailment": False}
_MOST = 200
"""More phrases than any report has."""


class RadfactOfficialPhrases(OfficialReply):
    """The split of a report into phrases, as YAML; `parse` returns them. A blank report has none and is not asked."""

    name = "radfact_official_phrases"
    version = 1
    published = "radfact"

    @property
    def over(self) -> Over:  # type: ignore[override]
        """A text."""
        return "text"

    def known(self, item: str, upstream: FeatureTable) -> str | None:  # noqa: ARG002
        """Return no phrases for a blank text, without asking."""
        return None if item.strip() else "[]"

    def messages(self, item: str, upstream: FeatureTable) -> Messages:  # noqa: ARG002
        """Return the messages of a request."""
        return prompt_of(self.files).split(item)

    @classmethod
    def parse(cls, reply: str) -> list[str]:
        """Return the phrases of all sentences, without blank ones."""
        data = yaml_in(reply)
        sentences = data.get("sentence_list") if isinstance(data, dict) else data
        if not isinstance(sentences, list) or not all(isinstance(sentence, dict) for sentence in sentences):
            raise VerdictParseError(f"expected a list of sentences with their phrases, got {shorten(data)}")
        phrases: list[str] = []
        for sentence in sentences:
            only_keys(sentence, ("orig", "new"))
            phrases += _texts(sentence["new"], "new")
        if len(phrases) > _MOST:
            raise VerdictParseError(f"{len(phrases)} phrases, more than {_MOST}")
        return [phrase for phrase in phrases if phrase.strip()]


class RadfactOfficialEntailment(Entailment, OfficialReply):
    """The verdicts on each phrase of one report, of one request a phrase, as a JSON list of the replies.

    Equal questions of one call are asked once, whichever candidates they come from. `of="candidate"` judges the
    candidate's phrases by the reference's, `of="reference"` the reverse; if either has none, the judge is not asked.
    """

    name = "radfact_official_entailment"
    version = 1
    published = "radfact"

    upstream_failures: bool = setting(False, _FAILURES)

    @property
    def needs(self) -> tuple[RadfactOfficialPhrases, ...]:
        made: tuple[RadfactOfficialPhrases, ...] | None = self.__dict__.get("_needs")
        if made is None:
            given = {**self.judge, "repetition_penalty": self.repetition_penalty, "use_priors": self.use_priors}
            made = self.__dict__["_needs"] = (RadfactOfficialPhrases(**given, number=self.number),)
        return made

    def messages(self, item: _Query, upstream: FeatureTable) -> Messages:  # noqa: ARG002
        """Return the messages of a request about one phrase."""
        return prompt_of(self.files).entails(item.reference, item.phrase)

    @classmethod
    def parse(cls, reply: str) -> bool:
        """Return whether the phrase of a request is entailed. The judge may have put it in other words."""
        data = yaml_in(reply)
        if not isinstance(data, dict):
            raise VerdictParseError(f"expected phrase, status and evidence, got {shorten(data)}")
        only_keys(data, ("phrase", "status", "evidence"))
        _texts(data["evidence"], "evidence")
        status = data["status"]
        if not isinstance(data["phrase"], str) or not isinstance(status, str) or status not in _STATUSES:
            raise VerdictParseError(f"status: expected entailment or not_entailment, got {shorten(status)}")
        return _STATUSES[status]

    @classmethod
    def truths(cls, replies: str, count: int) -> list[bool]:
        """Return whether each of `count` phrases is entailed; one without a reply is not.

        Raises:
            VerdictParseError: there are more or fewer replies.
        """
        verdicts = [reply is not None and cls.parse(reply) for reply in json.loads(replies)]
        if len(verdicts) != count:
            raise VerdictParseError(f"{len(verdicts)} verdicts on {count} phrases")
        return verdicts

    def is_final(self, value: str) -> bool:
        """Return whether every phrase has a reply."""
        return None not in json.loads(value)

    def stream(self, items: Iterator[PairItem], upstream: FeatureTable) -> Iterator[Batch]:
        """Ask about each phrase of each pair, and yield a pair when all of its phrases have a reply."""
        from cxr_rewards.judges.client import client_for

        form = self.form()
        pairs = _Pairs()

        def questions() -> Iterator[Question]:
            for item in items:
                try:
                    ours, theirs = self.phrases(item, upstream)
                except VerdictParseError as error:
                    pairs.fail(item, Failure(self.name, f"{type(error).__name__}: {error}", "unparsable"))
                    continue
                queries = [_Query(tuple(theirs), phrase) for phrase in ours]
                for query in pairs.add(item, queries):
                    if not theirs:
                        pairs.answer(query, _reply(query.phrase, "not_entailment"))
                        continue
                    yield Question(query, self.messages(query, upstream), form, self.number, self.parse)

        for batch in client_for(self).ask(questions(), self.name):
            for query, reply in batch:
                pairs.answer(query, reply)
            yield pairs.complete(self.upstream_failures)
        yield pairs.complete(self.upstream_failures)


class RadfactOfficial(Radfact, OfficialJudge):
    """RadFact as published, without grounding: the same messages and arithmetic, to reproduce its numbers.

        precision = entailed phrases of the candidate / its phrases
        recall    = entailed phrases of the reference / its phrases
        f1        = 2 * precision * recall / (precision + recall), 0 if both are 0

    Its prompts are added from a checkout by `cxr-rewards prompts add radfact`. Reports stand in them as they are, so
    that a report can speak to the judge: use `radfact` to train. A case takes one request for each report and one for
    each phrase. RadFact publishes precision, recall and the F1 of their means: see the summary of a file. Its model was
    Llama-3-70B-instruct. A reference without phrases leaves a case unscored; a candidate without phrases has precision
    0, and none with `upstream_failures`.

    Range: [0, 1].

    Details: as of `radfact`.

    Source: RadFact (repository at 72463ac).
    """

    name = "radfact_official"
    version = 1
    summary = "RadFact with its published prompts and arithmetic"
    requires = ("yaml",)
    extra = "radfact"

    max_tokens: int = setting(1024, "Longest reply, in tokens.")
    upstream_failures: bool = setting(False, _FAILURES)

    def ask_for(self, number: int) -> tuple[JudgeReply, ...]:
        """Return the verdicts in both directions, and the phrases they are about."""
        given: dict[str, Any] = {**self.vote_settings, "number": number, "use_priors": False}
        given |= {"repetition_penalty": self.repetition_penalty, "upstream_failures": self.upstream_failures}
        ours, theirs = (RadfactOfficialEntailment(**given, of=of) for of in ("candidate", "reference"))
        return (ours, theirs, *ours.needs)

    def score_case(self, case: Case, features: FeatureTable) -> Score:
        """Return a failure if a side has no phrases and published code gives no number then."""
        if self.upstream_failures and self.measure != "recall":
            for number in self.all_votes:
                if not self.directions(number)[0].phrases(PairItem(case.candidate, case.reference), features)[0]:
                    reason = "the judge found no phrase in the candidate"
                    return Score(None, failure=Failure(self.name, reason, "nothing_to_compare"))
        return super().score_case(case, features)

    @classmethod
    def sample(cls, files: store.PromptFiles) -> dict[str, Messages]:
        """Return the messages of both kinds of request with words of a template in place of report and phrases."""
        prompt = prompt_of(files)
        return {
            "split": prompt.split("{{report}}"),
            "entailment": prompt.entails(("{{phrase of the other report}}",), "{{phrase}}"),
        }


class _Query(NamedTuple):
    """Question whether phrases of one report entail a phrase of the other."""

    reference: tuple[str, ...]
    phrase: str


class _Pairs:
    """The pairs of one call, each waiting for the replies to its queries. Used by two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: dict[PairItem, list[_Query]] = {}
        self._missing: Counter[PairItem] = Counter()
        self._waiting: dict[_Query, list[PairItem]] = {}
        self._replies: dict[_Query, str | Failure] = {}
        self._ready: list[PairItem] = []
        self._failed: Batch = []

    def add(self, item: PairItem, queries: list[_Query]) -> list[_Query]:
        """Add a pair, and return those of its queries that nobody has asked."""
        with self._lock:
            self._queries[item] = queries
            without = [query for query in dict.fromkeys(queries) if query not in self._replies]
            new = [query for query in without if query not in self._waiting]
            for query in without:
                self._waiting.setdefault(query, []).append(item)
            self._missing[item] = len(without)
            if not without:
                self._ready.append(item)
            return new

    def fail(self, item: PairItem, failure: Failure) -> None:
        """Record that a pair has no queries."""
        with self._lock:
            self._failed.append((item, failure))

    def answer(self, query: _Query, reply: str | Failure) -> None:
        """Record a reply."""
        with self._lock:
            self._replies[query] = reply
            for item in self._waiting.pop(query, ()):
                self._missing[item] -= 1
                if not self._missing[item]:
                    self._ready.append(item)

    def complete(self, counts_failures: bool) -> Batch:
        """Return the pairs that have all replies, each once; a failure is a missing reply, or fails the pair."""
        with self._lock:
            ready, self._ready, batch, self._failed = self._ready, [], self._failed, []
            replies = [(item, [self._replies[query] for query in self._queries.pop(item)]) for item in ready]
        return [*batch, *((item, _joined(each, counts_failures)) for item, each in replies)]


def _joined(replies: Sequence[str | Failure], counts_failures: bool) -> str | Failure:
    """Return replies as one text with the cost of all, or the first failure."""
    failure = next((reply for reply in replies if isinstance(reply, Failure)), None)
    if failure is not None and not counts_failures:
        return failure
    texts = [None if isinstance(reply, Failure) else reply for reply in replies]
    costs = {}
    for key in ReplyText.__slots__:
        known = [number for reply in texts if (number := getattr(reply, key, None)) is not None]
        costs[key] = sum(known) if known else None
    return ReplyText(json.dumps(texts), **costs)


def _reply(phrase: str, status: str) -> str:
    return f"phrase: {json.dumps(phrase)}\nstatus: {status}\nevidence: []"


def _texts(value: object, where: str) -> list[str]:
    """Return a list of texts, which YAML may also write as nothing."""
    if value == "":
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise VerdictParseError(f"{where}: expected a list of texts, got {shorten(value)}")
    return value


class _Prompt(NamedTuple):
    """The messages before each kind of query, and how a query is written."""

    before_split: Messages
    before_entails: Messages
    dump: Callable[[object], str]

    def split(self, report: str) -> Messages:
        """Return the messages that ask for the phrases of a report."""
        return (*self.before_split, ("user", report))

    def entails(self, reference: Sequence[str], phrase: str) -> Messages:
        """Return the messages that ask whether phrases entail a phrase."""
        return (*self.before_entails, ("user", self.dump({"reference": list(reference), "hypothesis": phrase})))


@lru_cache(maxsize=4)
def prompt_of(files: store.PromptFiles) -> _Prompt:
    """Return the published messages: the system's text, then each example as a message of the user and its answer.

    Raises:
        ConfigError: the examples are not as published.
    """
    import yaml

    options = _dump_options(files.text("formatter.py"))

    def dump(value: object) -> str:
        return str(yaml.safe_dump(value, **options))

    try:
        split = [
            (example["findings_text"], [_ordered(s, "orig", "new") for s in example["parsed_report"]["sentence_list"]])
            for example in json.loads(files.text("phrases_examples.json"))
        ]
        entails = [
            ({"reference": example["input"][others], "hypothesis": judged["phrase"]}, _single(judged))
            for example in json.loads(files.text("entailment_examples.json"))
            for own, others in (("phrases_A_evidenced", "phrases_B"), ("phrases_B_evidenced", "phrases_A"))
            for judged in example["output"][own]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"radfact: the examples are not as published: {type(error).__name__}: {error}") from None
    split_turns = _turns([(report, dump(answer)) for report, answer in split])
    entails_turns = _turns([(dump(asked), dump(answer)) for asked, answer in entails])
    return _Prompt(
        (("system", files.text("phrases_system.txt")), *split_turns),
        (("system", files.text("entailment_system.txt")), *entails_turns),
        dump,
    )


def _turns(examples: Sequence[tuple[str, str]]) -> Messages:
    return tuple(turn for asked, answer in examples for turn in (("user", asked), ("assistant", answer)))


def _ordered(entry: Mapping[str, object], *keys: str) -> dict[str, object]:
    return {key: entry[key] for key in keys}


def _single(judged: Mapping[str, object]) -> dict[str, object]:
    """Return the verdict on one phrase; what contradicts it and what is neutral both do not entail it."""
    status = "entailment" if judged["status"] == "entailment" else "not_entailment"
    return {**_ordered(judged, "phrase"), "status": status, **_ordered(judged, "evidence")}


_OPTIONS = ("allow_unicode", "default_flow_style", "default_style", "indent", "sort_keys", "width")


def _dump_options(source: str) -> dict[str, Any]:
    """Return the options with which a checkout's code writes YAML; keys in their own order if it is not there."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name == "simple_formatter":
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("dump", "safe_dump"):
                    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg in _OPTIONS}
                    # A width that is not a number is `float("inf")`.
                    return {
                        str(name): value.value if isinstance(value, ast.Constant) else 1 << 30
                        for name, value in given.items()
                        if isinstance(value, ast.Constant) or name == "width"
                    }
    return {"sort_keys": False}
