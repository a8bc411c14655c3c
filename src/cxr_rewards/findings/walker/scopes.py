"""Effects of cues that set findings aside, and of those that end a scope; what cues of denial and doubt share."""

from __future__ import annotations

from cxr_rewards.findings.finding import DENIED, OTHER_SIDE
from cxr_rewards.findings.ontology import Cue
from cxr_rewards.findings.walker.lookahead import JOINS, LOOK, has_side, next_is, next_of
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.statements import CONDITION, end_scopes, subjects

PURPOSE = "purpose"
"""Cue of what something is done for."""
NAMING = frozenset(("observation", "structure", "quality", "conclude"))
ABSENCE = "absence"
"""Cue of an absence: to doubt it leaves the finding possible."""


def current_cue(state: State) -> Cue:
    return state.known.cues[state.item.names[0]]


def listed_together(state: State) -> list[Mention]:
    """Return the last finding and those listed with it: all of "A, B, and C", but only C of "A with B, C"."""
    listed: list[Mention] = []
    closed = False
    for mention in reversed(subjects(state)):
        listed.append(mention)
        closed = closed or mention.joint in ("and", "or")
        if mention.joint not in JOINS or not closed:
            break
    return listed


def set_aside_forward(state: State) -> None:
    state.scope.set_aside = current_cue(state)


def suppose(state: State) -> None:
    """Set aside what follows, but for known findings right behind: `add_finding` looks for this phrase."""
    state.scope.set_aside = state.known.cues[CONDITION]


def set_aside_backward(state: State) -> None:
    clause, i = state.clause, len(state.mentions)
    if not clause.mentions:
        return
    first = min(mention.at for mention in clause.mentions)
    while i and state.mentions[i - 1].at >= first:  # from the end, where they are: long texts take linear time
        i -= 1
    state.mentions[i:] = [mention for mention in state.mentions[i:] if mention not in clause.mentions]
    clause.mentions, clause.since_comma = [], []


def end_scope(state: State) -> None:
    removed = state.waiting.get("change", ("", 0))[0] == "resolved"
    if state.clause.mentions and (removed or state.item.kind == "subordinate"):
        state.waiting.pop("change", None)  # "increasing effusion despite a drain"
    if _accompanies(state):
        share_location(state)
    last = state.mentions[-1] if state.mentions else None
    if last is not None and last.implied and last.side == state.side:
        state.side_at = state.item.last  # "the right lung is clear apart from some mild apical scarring"
    end_scopes(state, state.item.names[0])
    state.clause.since_comma = []
    state.clause.joint = state.item.kind


def _accompanies(state: State) -> bool:
    """Return whether "with" leads over from a finding on one side to one without a side, which lies there, too.

    "A drain at the right base with a moderate effusion", but not "with no effusion".
    """
    item, i, mentions = state.item, state.index, state.clause.mentions
    if item.end - item.start != len("with") or item.kind != "end_scope" or not mentions:
        return False
    last = mentions[-1]
    if last.side not in OTHER_SIDE or last.located_at < 0 or last.certainty in DENIED or state.scope.denied is not None:
        return False
    denied = any(other.kind.startswith("deny") for other in state.items[i + 1 : i + 1 + LOOK])
    return not denied and not side_follows(state)


def relate(state: State) -> None:
    """End a denial before "of the" and a finding; a structure is its place: "no fluid in the fissure"."""
    items = state.items
    j = next_of(items, state.index, ("structure", "observation"))
    if j is None:
        return
    if items[j].kind == "structure" and next_is(items, j, "observation"):
        j += 1  # "the left upper lobe mass"
    if items[j].kind == "observation" or _makes_finding(state, j):
        if state.scope.denied is not None:
            state.waiting = {}  # said of what is denied: "no significant drainage of the effusion"
        end_scopes(state, state.item.names[0])
        state.clause.joint = state.item.kind


def attend(state: State) -> None:
    """End a denial behind the noun that is denied: "no mass underlying the scar", but "no underlying mass".

    In front of a noun it tells where that lies: "right pneumonia with a small accompanying effusion".
    """
    i = state.index
    if i and state.items[i - 1].kind in NAMING and state.item.first - state.items[i - 1].last <= 2:
        relate(state)
    elif state.scope.denied is None and not side_follows(state):
        share_location(state)


def side_follows(state: State) -> bool:
    """Return whether the next finding has a side of its own: "and a small associated effusion on the left"."""
    named = False
    for item in state.items[state.index + 1 : state.index + 1 + LOOK]:
        if has_side(item):
            return True
        if item.kind == "end_clause" or (named and item.kind in JOINS):
            return False
        named = named or item.kind == "observation"
    return False


def _makes_finding(state: State, j: int) -> bool:
    """Return whether a quality before the structure at `j` makes a finding of it: "the collapsed left lower lobe"."""
    between = state.items[state.index + 1 : j]
    return any(
        (state.items[j].names[0], item.names[0]) in state.known.combinations
        for item in between
        if item.kind == "quality"
    )


def share_location(state: State) -> None:
    """Let what follows lie where the finding before it lies: "opacity at the left base, likely pneumonia"."""
    mentions = state.clause.mentions
    state.location_of = mentions[-1] if mentions else None
