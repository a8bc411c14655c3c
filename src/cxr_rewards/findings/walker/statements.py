"""Add findings to the state; end scopes and clauses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cxr_rewards.findings.finding import DENIED, Certainty, Side
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.ontology import Attribute
from cxr_rewards.findings.walker.lookahead import LOOK, REACH
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.state import Clause, Part, Scope, State

KEPT = 12
"""How many earlier statements of a clause later words can still change: bounds the work on hostile text."""


CONDITION = "condition"
_CONDITION_OF_KNOWN = "condition_of_known"
_IN_NOUNS = frozenset(("modifier", "quality", "observation", "structure", "and"))
_MULTIFOCAL = ("diffuse",)
"""Places that tell of no side."""
_NEXT = 2
"""Most words by which a clause is apart that a cue still reaches: "we cannot say that there is"."""


# ---------------------------------------------------------------- findings


def add_finding(
    state: State,
    observation: str,
    *,
    possible: bool = False,
    part: Part | None = None,
    use_attributes: bool = True,
) -> None:
    """Add a finding with what was said before it, and with the certainty that the scope gives it.

    Args:
        state: state of the walk.
        observation: its observation.
        possible: the phrase leaves it in doubt.
        part: the structure it was read of, from which it takes a side and a place if it has none.
        use_attributes: it also has the attributes that its phrase states.
    """
    scope, item = state.scope, state.item
    if scope.set_aside is not None and not _is_known(state):
        return
    certainty = _certainty(state, possible)
    scope.next_doubted = False
    attributes = item.attributes if use_attributes else ()
    if attributes and ("change", "resolved") in attributes:  # "extubated"
        certainty = "absent"
    reach = 2 * REACH if state.bundles else REACH  # "unchanged 6 mm right and 9 mm left nodules"
    if state.bundles:
        _add_bundles(state, observation, certainty, attributes)
    mention = Mention(observation, certainty, item.start, item.end, item.first)
    _take_waiting(state, mention, reach)
    if part is not None:
        mention.side = mention.side or part.side
        mention.place = mention.place or part.place
        mention.of_structure = True
    source = state.location_of
    if (
        source is not None
        and mention.place in ((), _MULTIFOCAL)
        and mention.side in ("", source.side)
        and not _is_directed(state, observation)
    ):
        mention.side = mention.side or ("" if _is_directed(state, source.observation) else source.side)
        mention.place = mention.place or source.place
    _keep(state, mention, attributes)
    if source is not None and observation:
        _explain_away(state, source, mention)
        known = state.known.observations[observation]
        if source.observation in known.ancestors or source.observation in known.like:
            mention.taken_for = source


def _is_known(state: State) -> bool:
    """Return whether a condition only supposes what becomes of a finding: "if the left pneumothorax enlarges"."""
    if not is_conditional(state):
        return False
    for i in range(state.index, max(0, state.index - LOOK), -1):
        before = state.items[i - 1]
        if before.names[:1] == (_CONDITION_OF_KNOWN,):
            return state.items[i].first - before.last <= _NEXT
        if before.kind not in _IN_NOUNS or state.items[i].first - before.last > _NEXT:
            return False
    return False


_EXPLAINED: Mapping[Certainty, Certainty] = {"present": "absent", "likely": "unlikely", "possible": "possible"}


def _explain_away(state: State, taken: Mention, mention: Mention) -> None:
    """Take back what turns out to be something harmless: "round density, most likely a nipple" is no nodule."""
    explains = state.known.observations[mention.observation].explains
    if explains and taken.certainty == "present" and taken.observation and mention.certainty in _EXPLAINED:
        lineage = (taken.observation, *state.known.observations[taken.observation].ancestors)
        if not explains.isdisjoint(lineage):
            taken.certainty = _EXPLAINED[mention.certainty]


def _certainty(state: State, possible: bool) -> Certainty:
    """Return the certainty of the next finding: what denies it counts before what doubts it."""
    scope = state.scope
    if scope.left_open is not None:
        return "possible"
    if scope.denied is not None:
        return scope.denied.grade
    if scope.doubted is not None and not possible:
        return scope.doubted.grade
    if scope.doubted is not None or scope.next_doubted or possible:
        return "possible"
    return state.favored.grade if state.favored is not None else "present"


def _take_waiting(state: State, mention: Mention, reach: int) -> None:
    """Give a new mention the side and the attributes that wait for it; what is too far away stays unclaimed."""
    first = mention.at
    placed = state.waiting.get("place")  # "at the left base, there is ...": the place waits, and its side with it
    last = state.clause.mentions[-1] if state.clause.joint in ("and", "or") and state.clause.mentions else None
    listed = last is not None and state.side_used and last.side == state.side and first - last.at <= REACH
    listed = listed or (placed is not None and _is_beside(placed[1], state.side_at))
    near = state.side and (listed or first - state.side_at <= REACH)
    if near and not (state.side_used and _is_directed(state, mention.observation)):
        mention.side, mention.borrowed = state.side, state.side_used
        state.side_used = True
    waiting = state.waiting
    for slot, (value, at) in list(waiting.items()) if waiting else ():
        if first - at > reach and slot != "place":
            state.unclaimed.append((slot, value))
        elif slot != "number" or first - at <= 3:
            mention.give(slot, value)
        if slot == "change":
            mention.shared_change = state.change_used
            state.change_used = True
        else:
            del waiting[slot]


def _is_beside(at: int, side_at: int) -> bool:
    return 0 < abs(at - side_at) <= _NEXT


def _is_directed(state: State, observation: str) -> bool:
    return bool(observation) and state.known.observations[observation].directed


def _add_bundles(state: State, observation: str, certainty: Certainty, attributes: tuple[Attribute, ...]) -> None:
    """Add a finding for each side that has attributes of its own: "small left and moderate right effusions"."""
    item, bundles, state.bundles = state.item, state.bundles, []
    change = state.waiting.get("change")
    for side, waiting in bundles:
        mention = Mention(observation, certainty, item.start, item.end, item.first, side=side)
        for slot, (value, _) in waiting.items():
            mention.give(slot, value)
        if change is not None:
            mention.give("change", change[0])
        _keep(state, mention, attributes)


def _keep(state: State, mention: Mention, attributes: Iterable[Attribute]) -> None:
    """Add a mention to the sentence and the clause, with the attributes that its phrase states."""
    for slot, value in attributes:
        mention.give(slot, value)
    if state.listed_change:
        mention.give("change", state.listed_change)
    if state.listed_side:
        if mention.side in ("", state.listed_side):
            mention.side = state.listed_side
        else:
            state.listed_side = ""
    observation, known, clause = mention.observation, state.known, state.clause
    if (mention.side or mention.place) and observation and known.observations[observation].unpaired:
        mention.side = ""
        mention.place = tuple(place for place in mention.place if place[-1].isdigit())  # a vertebra
    if observation in known.devices:
        state.last_device = mention
        for position in state.positions:
            mention.give("position", position)
        state.positions = []
    mention.joint, clause.joint = clause.joint, ""
    state.mentions.append(mention)
    for recent in (clause.mentions, clause.since_comma):
        recent.append(mention)
        if len(recent) > KEPT:
            del recent[0]
    clause.predicated = True
    state.referred_back = False


_REFERRED_TO = frozenset(("subordinate", "relate", "attend", "point"))


def heads(state: State) -> list[Mention]:
    """Return the findings of the clause; after a verb without the last ones that are only referred to.

    The nodule of "the nodule adjacent to the fracture is larger".
    """
    mentions = state.clause.mentions
    end = len(mentions)
    while state.clause.verb and end > 1 and mentions[end - 1].joint in _REFERRED_TO:
        end -= 1
    return mentions[:end]


_PREDICATES = frozenset(("verb", "past", "now", "remain", "refer_back", "deny_backward", "doubt_backward", "affirm"))


def subjects(state: State) -> list[Mention]:
    """Return the findings that a predicate is said of: those of the clause, or of the one before.

    The latter if the clause begins with a verb or pronoun: "an effusion was queried, but has been ruled out".
    """
    clause, items = state.clause, state.items
    if clause.mentions or clause.parts or clause.begins < 0 or not state.before:
        return heads(state)
    first = items[clause.begins + 1]
    begins = first.kind in _PREDICATES and first.first - items[clause.begins].last == 1
    return state.before if begins else []


def rule_out(
    state: State,
    structure: str,
    side: Side = "",
    place: tuple[str, ...] = (),
    *,
    acute: bool = False,
    named: Item | None = None,
) -> None:
    """Add the absences that follow from calling a structure normal; with `acute`, from denying anything acute of it.

    The latter are absences of what is acute: they contradict no old finding. `named` is the phrase that names the
    structure, if there are several: the absences of each are a statement of their own.
    """
    known, item = state.known, state.item
    span = named or item
    ruled_out = known.structures[structure]
    for observation in ruled_out.no_acute if acute else ruled_out.normal:
        if side and structure == "chest" and known.observations[observation].unpaired:
            continue  # "no disease on the left" speaks of no heart failure
        mention = Mention(observation, "absent", span.start, span.end, item.first, implied=True)
        if acute:
            mention.descriptor = ("acute",)
        if (side or place) and not known.observations[observation].unpaired:
            mention.side, mention.place = side, place
        state.mentions.append(mention)
    state.clause.predicated = True


def can_repeat(state: State) -> bool:
    """Return whether the last finding can be spoken of again: not if it is absent, unless on the other side only."""
    last = state.mentions[-1] if state.mentions else None
    if last is None or last.certainty not in DENIED or state.clause.joint == "end_scope":
        return True  # after "other than"
    if last.severity:  # "no large effusion; a small one persists"
        return True
    return not last.implied and last.side in ("left", "right") and state.side != last.side


# ---------------------------------------------------------------- the ends of scopes and clauses


def is_conditional(state: State) -> bool:
    """Return whether what is read is only supposed: "if a pneumothorax develops"."""
    return state.scope.set_aside is not None and state.scope.set_aside.name == CONDITION


def end_scopes(state: State, ender: str = "") -> None:
    """End the denials and doubts that the cue named `ender` ends; without one, all of them."""
    scope = state.scope
    if scope.denied is not None and (not ender or ender in scope.denied.ended_by):
        scope.denied = None
    if scope.doubted is not None and (not ender or ender in scope.doubted.ended_by):
        scope.doubted = None
    if scope.set_aside is not None and (not ender or ender in scope.set_aside.ended_by):
        scope.set_aside = None
    scope.next_doubted = False
    state.favored = None


def end_clause(state: State) -> None:
    """End the clause, with everything that reaches no further than its end, and begin another."""
    end_sentence(state)
    clause, item = state.clause, state.item
    state.parts_before = clause.parts
    if clause.mentions:
        state.before = clause.mentions
    elif clause.parts:
        state.before = []
    left_open = state.scope.left_open
    if left_open is not None and item.first - left_open.last > _NEXT:
        left_open = None
    state.clause = Clause(state.index)
    state.scope = Scope(left_open=left_open)
    state.favored = None


def end_sentence(state: State) -> None:
    """End the last clause."""
    if state.side and not state.side_used:
        _repeat_last(state)
    if state.waiting or state.side or state.bundles or state.spare:
        _drop_waiting(state)


def _repeat_last(state: State) -> None:
    """Read "the right is unchanged" as the finding before it, on the right."""
    if names_side_only(state) and not state.waiting.keys().isdisjoint(("change", "severity", "size")):
        repeat_last(state)


def names_side_only(state: State) -> bool:
    """Return whether the clause has a side and a verb, but nothing that they could belong to: "the right is"."""
    clause = state.clause
    if not state.side or state.side_used or clause.parts or clause.mentions:
        return False
    told = max((at for slot, (_, at) in state.waiting.items() if slot in ("change", "severity")), default=-1)
    near = -3 <= told - state.side_at <= 2 if state.mentions else 0 < told - state.side_at <= 2
    return (clause.verb or (state.side_fresh and near)) and can_repeat(state)


def repeat_last(state: State) -> None:
    """Add the finding before once more, with what waits for it."""
    count = len(state.mentions)
    add_finding(state, state.mentions[-1].observation if state.mentions else "", use_attributes=False)
    for mention in state.mentions[count:]:
        mention.repeats = True


def _drop_waiting(state: State) -> None:
    """Forget what waits for a finding, other than its location: "in the right upper lobe there is a nodule"."""
    kept = {}
    for slot, (value, at) in state.waiting.items():
        if slot == "place" and not state.side_used:
            kept[slot] = (value, at)
        elif (slot != "change" or not state.change_used) and not is_conditional(state):
            state.unclaimed.append((slot, value))
    state.waiting = kept
    if state.side_used:
        state.side = ""
    state.side_at = state.item.first
    state.side_fresh = False
    state.bundles = []
    state.spare = None
