"""Greedy search for the text that earns most if it is always the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from cxr_rewards.evaluation.auditing.book import Book
from cxr_rewards.evaluation.auditing.policies import Sources, case_of
from cxr_rewards.evaluation.auditing.studies import Study


def pool_of(sources: Sources, most: int) -> list[str]:
    """Return sentences to search in: the most frequent, half of them of abnormal findings."""
    abnormal = Counter(text for study in sources.studies for text in study.abnormal_sentences)
    normal = Counter(
        text
        for study in sources.studies
        for text, marked in zip(study.sentences, study.abnormal, strict=True)
        if not marked
    )
    half = most // 2
    texts = [text for text, _ in abnormal.most_common(half)] + [text for text, _ in normal.most_common(most - half)]
    return [text for text in texts if len(text) <= 200]


def best_constant(
    book: Book,
    studies: Sequence[Study],
    pool: Sequence[str],
    starts: Sequence[str],
    *,
    rounds: int,
    advance: Callable[[int], None],
) -> str:
    """Return the text with the highest mean reward, built up sentence by sentence.

    The first round takes the best of the pool and of `starts`; each later one appends the sentence that adds most, and
    the search ends if none does.
    """
    best, value = "", float("-inf")
    for turn in range(rounds):
        tried = [*pool, *starts] if turn == 0 else [f"{best} {text}" for text in pool if text not in best]
        for text in tried:
            for number, study in enumerate(studies):
                book.add(f"search: {text}", number, case_of(study, text))
        book.score(advance)
        means = {text: book.mean(f"search: {text}") for text in tried}
        scored = {text: mean for text, mean in means.items() if mean is not None}
        top = max(scored, key=lambda text: scored[text], default="")
        if not scored or scored[top] <= value:
            break
        best, value = top, scored[top]
    return best
