"""Prepare the phrases of a sentence for the walk: join what belongs to one verb, and cut the sentence into clauses.

1. `clauses` finds the phrases (`phrases.py`, `parted.py`).
2. A word that denies or doubts a verb, as "not" or "cannot", is joined with it: "has not been clearly seen" is the cue
   `not_seen`. The key `after` of a cue in `data/cues.toml` says what it becomes.
3. A comma or "and" between two clauses becomes the end of a clause: "There is cardiomegaly, and the edema has
   resolved." A list stays together: "Effusion and pneumothorax are not seen."
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Ontology
from cxr_rewards.findings.parted import join_parted
from cxr_rewards.findings.phrases import Words, items
from cxr_rewards.findings.plurals import on_both_sides

_LOOK = 14
"""Most phrases to look ahead or back: bounds the work on hostile text."""
_JOINS = frozenset(("comma", "and", "or"))
_NOUNS = frozenset(("observation", "structure", "quality", "repeat"))
_NAMED = frozenset(("modifier", "quality", "observation"))
_ENDS = frozenset(("comma", "and", "end_clause"))
_STOPS = frozenset(("end_clause", "open", "close", "introduce"))
_WITHIN_VERB = re.compile(
    r"(?:\s+(?:(?!previous|former|new)[a-z]+ly|yet|been|be|being|to|now|any|appear|seem|thought|felt|considered"
    r"|with\s+(?:(?:any|full|complete|absolute|real|much|great)\s+)?(?:confidence|certainty|assurance|safety|conviction)))*\s+"
)
"""Words that may stand within a verb, between "not" and "seen"."""
_FINITE = re.compile(
    r"(?:(?P<plural>are|were|have|remain|appear|look|seem)|is|was|has|having|being|can|could|may|might|will|would|should|must|does|did|remains|appears|looks|seems|reflects|represents|indicates|shows|demonstrates|suggests)(?:not|n't)?\b"
)
_FINITE_WITHIN = re.compile(r"\b(?:is|are|was|were|has|have)\b")
_NEW_SUBJECT = re.compile(
    r"\s+(?:it\s+is\s+(?:difficult|hard|impossible|not\s+possible|possible|uncertain|unclear|doubtful|conceivable|visuali[sz]ed|observed|seen)\b"
    r"|(?:i|we)\s+(?:can|could|do|did|see|note|suspect|favou?r|doubt|believe|think|am|are|would)\b"
    r"|(?:the\s+)?(?:appearances?|findings?|picture)\s+(?:is|are|may|might|can|could|suggests?|favou?rs?|represents?)\b)"
)
"""Subjects that are no findings, with a verb behind them: they begin a clause of their own."""
_BOTH_OF = re.compile(r"both\s+(?:the|an?)\s")
_RELATIVE = re.compile(r"\b(?:which|that|who|whose)\b")
_BOTH = re.compile(r"(left|right)\s+and\s+(left|right)")
_SPACES = re.compile(r"\s+")
_ONE_SIDE = ((("side", "left"),), (("side", "right"),))
_FRONTED = ("end_scope", "subordinate")
_FRONTED_CUES = ("condition", "condition_of_known", "instead", "in_lieu")
"""Kinds of phrase and cues that, at the head of a sentence, reach as far as the comma."""
_CHANCE = "chance"
"""Cue of a likelihood that is rated behind the finding: "the likelihood of pneumonia is low"."""
_RATED = re.compile(
    r"[^.,;:]*?\b(?:is|are|was|were|remains?|seems?|appears?|(?:thought|felt|believed|considered|judged)\sto\sbe)\s+"
    r"(?:(?:very|quite|rather|relatively|extremely|too|still|considered|felt|judged|\w+ly)\s+)*"
    r"(?:(?P<held_unlikely>low|small|slim|remote|minimal|negligible|slight|reduced)|(?P<probability>high|strong|great|considerable|substantial))\b"
)
_AUXILIARY = re.compile(r"\b(?:(?P<plural>do)|does|did|would|should|must|will)\s$")
_SAID_OF_VERB = frozenset(("deny_forward", "deny_backward", "doubt_forward", "doubt_backward", "leave_open"))
_INSERTED = ("doubt_forward", "explain", "deny_forward")
_PLURALS = ("hila", "vertebrae", "apices", "bronchi")
_NEUTRAL = frozenset(("can", "could", "may", "might", "will", "would", "should", "must", "did", "had"))
"""Verbs that are the same in singular and plural."""
_PLURAL_VERBS = frozenset(("are", "were", "have", "remain", "appear", "look", "seem", "do"))
_WORD = re.compile("[a-z0-9]+")
_ARTICLE = re.compile(r"\s+(the|an?|this|these)\b")


def clauses(known: Ontology, sentence: str, words: Words | None = None) -> tuple[list[Item], int]:
    """Return the phrases of a lower-case sentence, ready for the walk, and its number of words.

    Pass `words_of` the sentence if they are there already.

    Example:
        >>> from cxr_rewards.findings.ontology import ontology
        >>> [item.kind for item in clauses(ontology(), "there is edema, and the effusion has not been seen")[0]]
        ['end_clause', 'observation', 'end_clause', 'and', 'observation', 'verb', 'deny_backward']
    """
    found, count = items(known, sentence, words)
    found = on_both_sides(join_parted(known, found, sentence), sentence)
    kinds = {item.kind for item in found}
    if "doubt_forward" in kinds and any(item.names == (_CHANCE,) for item in found):
        found = [_rated(known, item, sentence) if item.names == (_CHANCE,) else item for item in found]
    if "pair" in kinds:
        found = [side for item in found for side in _sides(item, sentence)]
    if "point" in kinds or (not kinds.isdisjoint(known.verb_parts.values()) and _has_verb_part(known, found)):
        found = _join_verbs(known, found, sentence)
    if "end_clause" in kinds and sentence.find("there", 1) > 0:
        found = [
            replace(item, kind="verb", start=item.end - len(_SPACES.split(sentence[item.start : item.end])[-1]))
            if item.kind == "end_clause" and _tells_where(found, i, sentence)
            else item
            for i, item in enumerate(found)
        ]
    if not kinds.isdisjoint(_ENDS):
        found = _cut(found, sentence)
    return found, count


def _sides(item: Item, sentence: str) -> list[Item]:
    """Return both sides of "left and right" as phrases of their own, for values that go with them in this order."""
    match = _BOTH.fullmatch(sentence, item.start, item.end) if item.kind == "modifier" else None
    if match is None:
        return [item]
    first, last = match.span(1), match.span(2)
    return [
        replace(item, attributes=(("side", match[1]),), last=item.first, start=first[0], end=first[1]),
        Item("and", (), (), item.first + 1, item.first + 1, first[1] + 1, last[0] - 1),
        replace(item, attributes=(("side", match[2]),), first=item.last, start=last[0], end=last[1]),
    ]


# ---------------------------------------------------------------- verbs


def _has_verb_part(known: Ontology, found: list[Item]) -> bool:
    return any(item.names and item.names[0] in known.verb_parts for item in found)


def _join_verbs(known: Ontology, found: list[Item], sentence: str) -> list[Item]:
    """Join each cue that can be part of a verb with the cue that it changes."""
    result: list[Item] = []
    parts, cues, skip, denied = known.verb_parts, known.cues, -1, False
    for i, item in enumerate(found):
        if i <= skip:
            continue
        if item.names and parts.get(item.names[0]) == item.kind:
            for j in range(i + 1, min(i + 5, len(found))):
                verb = found[j]
                cue = cues.get(verb.names[0]) if verb.names else None
                together = cue.after.get(item.names[0]) if cue is not None and cue.kind == verb.kind else None
                if together and _WITHIN_VERB.fullmatch(sentence, item.end, verb.start):
                    cue = cues[together]
                    item = Item(cue.kind, (together,), cue.states, item.first, verb.last, item.start, verb.end)
                    skip = j
                    break
        denied = denied or item.kind == "deny_forward"
        if denied or item.kind != "point" or _is_reason(found, i):
            result.append(item)
        elif (first := _first_word(known, item, sentence)) is not None:
            result.append(first)
    return result


def _is_reason(found: list[Item], i: int) -> bool:
    """Return whether something is planned for what is known: "CT is advised for these nodules"."""
    return bool(i) and found[i - 1].kind == "plan" and i + 1 < len(found) and found[i + 1].kind in _NAMED


def _first_word(known: Ontology, item: Item, sentence: str) -> Item | None:
    """Return the phrase that the first word of another is by itself: "for" of "for the"."""
    word = _WORD.match(sentence, item.start, item.end)
    form = known.forms.get(word[0]) if word is not None else None
    entry = known.phrases.get(form, {}).get("") if form is not None else None
    return replace(item, kind=entry[0], names=entry[1], attributes=entry[2], last=item.first) if entry else None


def _rated(known: Ontology, item: Item, sentence: str) -> Item:
    """Return a cue of a likelihood as one of what it is said to be: "the likelihood of pneumonia is low"."""
    match = _RATED.match(sentence, item.end)
    if match is None or match.lastgroup is None:
        return item
    return replace(item, kind=known.cues[match.lastgroup].kind, names=(match.lastgroup,))


# ---------------------------------------------------------------- clauses


def _cut(found: list[Item], sentence: str) -> list[Item]:
    """Turn each comma, "and" or both that part two clauses into the end of a clause."""
    begin = 0
    i, count = 0, len(found)
    result: list[Item] | None = None
    while i < count:
        kind = found[i].kind
        if kind == "end_clause" and _goes_on(found, i):
            result = list(found) if result is None else result
            result[i] = found[i].of_kind("read_over")
        elif kind == "end_clause":
            begin = i
        elif kind in _JOINS:
            last = i
            while last + 1 < count and found[last + 1].kind in _JOINS:
                last += 1
            if kind == "or" and last > i and _inserts(found, last):  # "pneumonia or, less likely, edema"
                result = list(found) if result is None else result
                for j in (last, last + 2):
                    result[j] = found[j].of_kind("read_over")
                last += 2
            elif last + 1 < count and _parts_clauses(found, begin, i, last, sentence):
                if result is None:
                    result = list(found)
                result[i] = found[i].of_kind("end_clause")
                begin = last + 1
            i = last
        i += 1
    return result if result is not None else found


def _verb(item: Item, sentence: str) -> re.Match[str] | None:
    """Return the finite verb that a phrase is or begins with."""
    return None if item.kind in _NOUNS else _FINITE.match(sentence, item.start, item.end)


def _auxiliary(item: Item, sentence: str) -> re.Match[str] | None:
    """Return the verb right before a denial or doubt: "does not appear to be present"."""
    if item.kind not in _SAID_OF_VERB:
        return None
    return _AUXILIARY.search(sentence, max(0, item.start - len("should ")), item.start)


def _inserts(found: list[Item], comma: int) -> bool:
    """Return whether only a doubt stands between the comma at `comma` and the next: "or, less likely, edema"."""
    inserted = found[comma + 1 : comma + 3]
    return len(inserted) > 1 and inserted[0].kind in _INSERTED and inserted[1].kind == "comma"


def _states(item: Item, sentence: str) -> bool:
    """Return whether a phrase holds a finite verb: "it is difficult to exclude"."""
    if _verb(item, sentence) or _auxiliary(item, sentence):
        return True
    of_verb = item.kind in _SAID_OF_VERB and item.last > item.first
    return of_verb and _FINITE_WITHIN.search(sentence, item.start, item.end) is not None


def _is_stated(before: list[Item], sentence: str) -> bool:
    """Return whether the phrases of a clause hold a finite verb."""
    if not before:
        return False
    begun = before[0].kind == "end_clause" and before[0].last > before[0].first  # "there is"
    return begun or any(_states(item, sentence) for item in before)


def _goes_on(found: list[Item], i: int) -> bool:
    """Return whether a "but" leads to a change of the finding before it, and not to a clause: "mild, but unchanged"."""
    if i == 0 or i + 1 >= len(found) or found[i].last > found[i].first or found[i + 1].first - found[i].last > 2:
        return False
    following = found[i + 1]
    if following.kind != "modifier" or following.attributes[0][0] != "change":
        return False
    return i + 2 == len(found) or found[i + 2].kind in _JOINS or found[i + 2].kind == "end_clause"


def _tells_where(found: list[Item], i: int, sentence: str) -> bool:
    """Return whether "there is" stands behind its subject: "the basal effusion there is still visible"."""
    item = found[i]
    if not i or item.first == item.last or found[i - 1].kind not in _NOUNS or item.first - found[i - 1].last != 1:
        return False
    if not sentence.startswith("there", item.start) or i + 1 == len(found) or found[i + 1].first - item.last != 1:
        return False
    for following in found[i + 1 : i + 1 + _LOOK]:
        if following.kind in _NOUNS and following.kind != "quality":
            return False
        if following.kind in _STOPS:
            break
    return True


class _Statement(NamedTuple):
    """A statement with a subject and a verb.

    Attributes:
        verb: its verb.
        several: its subject is a list ("effusion and edema are").
        plural: its verb is a plural, and the last noun before it is not ("effusion are").
        seen: it says only that something is there ("effusion is seen").
        of_structure: its subject is a structure ("the heart is").
    """

    verb: str
    several: bool
    plural: bool
    seen: bool
    of_structure: bool


def _statement(found: list[Item], first: int, sentence: str) -> _Statement | None:
    """Return the statement that begins at the phrase `first`, or None if no subject with a verb follows."""
    noun: Item | None = None
    several = relative = False
    for j in range(first, min(first + _LOOK, len(found))):
        item = found[j]
        if item.kind in _STOPS:
            return None
        if item.kind in _JOINS:
            several = several or noun is not None
        elif item.kind in _NOUNS:
            noun = item
        elif (verb := _verb(item, sentence) or _auxiliary(item, sentence)) is not None:
            if noun is None and j == first + 1 and _is_side(found[first]):
                noun = found[first]  # "the left has increased"
            if noun is None:
                return None
            if not relative and _RELATIVE.search(sentence, noun.end, item.start):
                relative = True  # "the effusion that was seen has resolved"
                continue
            many = sentence[noun.end - 1] == "s" or sentence.startswith(_PLURALS, noun.start)
            seen = j + 1 < len(found) and found[j + 1].kind == "conclude"
            return _Statement(
                verb[0].strip(), several, verb["plural"] is not None and not many, seen, noun.kind == "structure"
            )
    return None


def _is_side(item: Item) -> bool:
    return item.kind == "modifier" and item.attributes in _ONE_SIDE


def _parts_clauses(found: list[Item], begin: int, first: int, last: int, sentence: str) -> bool:
    """Return whether a clause ends at the joining words `first` to `last`; it began at `begin`."""
    before = found[max(begin, first - _LOOK) : first]
    if found[first].kind == "comma" and len(before) > 1:
        fronted = before[0].names[:1]
        if before[0].kind in _FRONTED:  # "Despite the drain, ..."
            return True
        if fronted and fronted[0] in _FRONTED_CUES and (last + 2 >= len(found) or found[last + 2].kind not in _JOINS):
            return True  # "If pneumonia develops, ...", but "If pneumonia, edema or ..."
    if _NEW_SUBJECT.match(sentence, found[last].end) and found[last].kind != "or" and _is_stated(before, sentence):
        return True
    if not before or found[first].kind == "or" or any(item.kind == "or" for item in found[first : last + 1]):
        return False
    statement = _statement(found, last + 1, sentence)
    if statement is None:
        return False
    if found[first].kind == "and" and _BOTH_OF.match(sentence, before[0].start):
        return False
    if _is_stated(before, sentence):
        return not statement.several or statement.plural
    if found[last].kind == "and" and statement.of_structure and not statement.several and not statement.plural:
        kinds = {item.kind for item in before}
        apart = first < last or statement.verb not in _PLURAL_VERBS or _ARTICLE.match(sentence, found[last].end)
        if apart and "observation" in kinds and "structure" not in kinds:
            return True  # "effusion, and the heart is normal", but "effusion and lungs are normal" is said of both
    # What stands before has no verb: a fragment ("Right effusion, and a pneumonia can't be excluded."), or the
    # beginning of a list ("Effusion and pneumothorax can't be excluded.").
    if statement.several or not any(item.kind in _NOUNS or item.kind == "deny_forward" for item in before):
        return False
    if found[last].kind == "comma":
        if all(item.kind != "observation" for item in before):  # "heart, mediastinum, bones are normal"
            return any(item.kind == "deny_forward" for item in before) and not statement.seen
        return not statement.plural and not (statement.seen and any(item.kind == "deny_forward" for item in before))
    article = _ARTICLE.match(sentence, found[last].end)
    if article is None or all(item.kind in ("structure", "modifier") for item in before):  # "the lungs and the pleura"
        return False
    if first < last and article[1] in ("a", "an"):
        return True
    if first < last and article[1] == "the" and all(item.kind != "comma" for item in before):
        return not statement.plural and any(item.kind == "deny_forward" for item in before)
    singular = not statement.plural and statement.verb not in _NEUTRAL
    return singular and not sentence.startswith(f"{article[1]} ", before[0].start)
