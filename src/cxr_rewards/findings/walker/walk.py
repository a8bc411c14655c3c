"""Walk over the phrases of a sentence, one after the other, and collect its findings."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import cast

from cxr_rewards.findings.finding import DENIED, OTHER_SIDE, Change, Finding
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Ontology
from cxr_rewards.findings.walker.attributes import read_modifier
from cxr_rewards.findings.walker.cues import read_cue
from cxr_rewards.findings.walker.mention import Mention, Placed, Sentence
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.statements import end_sentence
from cxr_rewards.findings.walker.structures import read_observation, read_quality, read_structure

_OTHER = ("descriptor", "other")
_CHANGE = Finding._fields.index("change")

READERS: Mapping[str, Callable[[State], None]] = {
    "modifier": read_modifier,
    "observation": read_observation,
    "structure": read_structure,
    "quality": read_quality,
}
"""Kind of phrase → the function that reads it; all other kinds are cues and marks."""


def walk(known: Ontology, items: list[Item], word_count: int) -> Sentence:
    """Return the findings of a sentence, given its phrases.

    Example:
        >>> from cxr_rewards.findings.ontology import ontology
        >>> from cxr_rewards.findings.clauses import clauses
        >>> sentence = walk(ontology(), *clauses(ontology(), "no left effusion, but a small nodule"))
        >>> [fields[:3] for fields, start, end in sentence.findings]
        [('pleural_effusion', 'absent', 'left'), ('lung_nodule', 'present', '')]
    """
    if not items:
        return Sentence((), refers_back=False, unclaimed=())
    state = State(known, items, word_count)
    reader = READERS.get
    for state.index, item in enumerate(items):
        state.item = item
        reader(item.kind, read_cue)(state)
    end_sentence(state)
    return _finish(state)


def _finish(state: State) -> Sentence:
    """Complete the findings with what only the whole sentence tells."""
    items = state.items
    refers_back = items[0].kind in ("refer_back", "refer_to_part")
    unclaimed = tuple(state.unclaimed)
    if state.positions:
        unclaimed = (*unclaimed, *(("position", position) for position in state.positions))
    devices = state.known.devices
    others: bool | None = None
    for mention in state.mentions:
        if mention.rows and _is_fracture(state.known, mention.observation):  # "fractures of ribs 5 to 7"
            mention.number = mention.number or mention.rows
        if mention.observation in devices:
            mention.severity = 0.0  # "a large right chest tube"
        if mention.descriptor:
            mention.descriptor = tuple(name for name in mention.descriptor if name != "other")
        if mention.certainty in DENIED:
            if others is None:
                others = any(_OTHER in item.attributes for item in items)
            if others or mention.change in ("new", "increased"):
                mention.descriptor = (*mention.descriptor, "other")  # "no new effusion" denies none that was there
    if len(state.mentions) > 1:
        _part_pairs(state.mentions)
        _share_changes(state.mentions)
    findings = [mention.placed() for mention in state.mentions]
    if (findings or not refers_back) and (state.unclaimed or state.compared is not None):
        findings += _comparison(state, findings)
    return Sentence(tuple(findings), refers_back, unclaimed)


def _part_pairs(mentions: list[Mention]) -> None:
    """Leave a bilateral finding one side if the other has its own statement: "effusions, the right one smaller"."""
    for before, mention in itertools.pairwise(mentions):
        if mention.repeats and mention.side in OTHER_SIDE and before.side == "bilateral":
            before.side = OTHER_SIDE[mention.side]
        elif mention.repeats and not mention.side and before.side in OTHER_SIDE:
            mention.side = before.side  # "two left nodules, the lower one has grown"


def _share_changes(mentions: list[Mention]) -> None:
    """Give a finding and what it is taken for one change: "an opacity, likely pneumonia, unchanged"."""
    for mention in mentions:
        source = mention.taken_for
        if source is None or mention.certainty in DENIED or source.certainty in DENIED:
            continue
        source.change = source.change or mention.change
        mention.change = mention.change or source.change


def _is_fracture(known: Ontology, observation: str) -> bool:
    return observation == "fracture" or (bool(observation) and "fracture" in known.observations[observation].ancestors)


def _comparison(state: State, findings: list[Placed]) -> list[Placed]:
    """Return a finding `comparison` if the sentence compares with an earlier image, and states no finding's change."""
    if any(fields[_CHANGE] for fields, _, _ in findings):
        return []
    change = next((value for slot, value in state.unclaimed if slot == "change"), None)
    if change is not None:
        start, end = state.items[0].start, state.items[-1].end
    elif state.compared is not None:
        start, end = state.compared.start, state.compared.end
    else:
        return []
    return [(Finding("comparison", change=cast("Change", change or ""))[:-2], start, end)]
