"""Effects of cues and punctuation: one function for each kind. `data/cues.toml` lists the words.

`marks.py` has those of punctuation, `denials.py` those that deny, `doubts.py` those that doubt, `scopes.py` those that
set aside or end a scope, and this file the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from cxr_rewards.findings.finding import DENIED, Side
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker import denials, doubts, marks, planned, scopes
from cxr_rewards.findings.walker.attributes import read_modifier, speak_of_all
from cxr_rewards.findings.walker.locating import pair
from cxr_rewards.findings.walker.lookahead import (
    REACH,
    changes_next,
    dated_behind,
    next_is,
    side_stands_alone,
    speaks_of_next,
)
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.statements import add_finding, can_repeat, end_clause, names_side_only, repeat_last
from cxr_rewards.findings.walker.structures import refine_by_structure
from cxr_rewards.findings.walker.waiting import wait


def read_cue(state: State) -> None:
    """Carry out the effect of a cue or mark, then read the attributes that its words state."""
    used = EFFECTS[state.item.kind](state)
    if state.item.attributes and not used:
        read_modifier(state)


def _verb(state: State) -> None:
    state.clause.verb = state.clause.had_verb = True
    state.past = False
    denied = state.scope.denied
    if denied is not None and "verb" in denied.ended_by and state.clause.mentions:
        state.scope.denied = None  # "what was called a nodule is a vessel"


def _past(state: State) -> None:
    _verb(state)
    state.past = True


def _all(state: State) -> None:
    """Let the change or degree right behind be that of all findings before: "A, B and C, all unchanged"."""
    if changes_next(state.items, state.index):
        speak_of_all(state)


def _now(state: State) -> None:
    state.past = False


def _remain(state: State) -> None:
    _verb(state)
    items, i = state.items, state.index
    if state.scope.denied is not None and state.scope.denied.grade == "absent":
        for mention in state.clause.mentions[-1:]:
            if mention.certainty == "absent" and mention.at > state.denied_at:  # "no pneumothorax remains"
                mention.give("change", "resolved")
                return
    ends = i + 1 == len(items) or items[i + 1].kind == "end_clause"
    if ends and state.item.first - state.side_at == 1 and names_side_only(state):  # "on the left remains"
        repeat_last(state)
        state.mentions[-1].give("change", "stable")
    if next_is(items, i, "modifier") and any(slot in ("size", "severity") for slot, _ in items[i + 1].attributes):
        for mention in state.clause.mentions[-1:]:
            mention.give("change", "stable")
    if next_is(items, i, "quality") and state.scope.denied is None and items[i + 1].names[0] not in ("normal", "sound"):
        wait(state, "change", "stable", state.item)  # "the heart remains enlarged"
    elif ends or items[i + 1].kind in _ENDS_STATEMENT or _is_position(items[i + 1]):
        for mention in state.clause.mentions[-1:]:
            if mention.certainty not in DENIED and state.item.first - mention.at <= REACH:
                mention.give("change", "stable")  # "a small left effusion remains"


_OPENS = frozenset(("doubt_forward", "explain", "deny_forward"))
_ENDS_STATEMENT = frozenset(("comma", "and", "open", "close", "end_clause"))


def _is_position(item: Item) -> bool:
    return bool(item.attributes) and item.attributes[0][0] == "position"


def _refer_to_part(state: State) -> None:
    state.referred_back = True
    _refer_back(state)


def _refer_back(state: State) -> None:
    if state.side_fresh and not state.side_used and state.item.first - state.side_at == 1:  # "on the left it persists"
        state.clause.verb = True


_LARGEST = "largest"


def _repeat(state: State) -> bool:
    """Add the finding before once more: "a small one on the left"; return whether it did."""
    item = state.item
    if item.names[0] == _LARGEST and (state.index or speaks_of_next(state, 0)):
        return False
    if state.index + 1 < len(state.items) and side_stands_alone(state.items, state.index + 1):
        side = next(value for slot, value in state.items[state.index + 1].attributes if slot == "side")
        state.side, state.side_at, state.side_used = cast("Side", side), item.first, False  # "one on the right"
    fresh = (bool(state.side) and not state.side_used) or item.names[0] == _LARGEST
    if not can_repeat(state) or not (state.waiting or fresh or (state.mentions and item.last > item.first)):
        return False
    name = state.mentions[-1].observation if state.mentions else ""
    if state.side_used:  # "a left effusion, and a small one on the right"
        state.side = ""
    better = refine_by_structure(state, name)
    add_finding(state, better[0] if better else name, use_attributes=False)
    if not state.mentions or state.mentions[-1].at != item.first:
        return False
    state.mentions[-1].repeats = True
    return True


def _link(state: State) -> None:
    """Let what follows lie where the finding before lies, or on the side that the subject names."""
    if not state.mentions:
        state.listed_side = marks.side_of_list(state)  # "the right hemithorax shows an effusion and collapse"
    scopes.share_location(state)


def _end_clause(state: State) -> None:
    if _is_asserted(state):
        return
    if not state.mentions and state.index:
        state.listed_side = marks.side_of_list(state)  # "on the right there is an effusion, and collapse"
    end_clause(state)


def _is_asserted(state: State) -> bool:
    """Return whether a doubt or denial right before "there is" goes on: "perhaps there is"."""
    items, i, scope = state.items, state.index, state.scope
    if (
        not i
        or state.item.first == state.item.last
        or state.item.first - items[i - 1].last != 1
        or state.clause.mentions
    ):
        return False
    unlikely = scope.denied is not None and scope.denied.grade == "unlikely"
    return (scope.doubted is not None or unlikely or state.favored is not None) and items[i - 1].kind in _OPENS


def _contrast(state: State) -> bool:
    """Read "larger than the left" of a right effusion as effusions on both sides, the right one being larger."""
    named = next(str(value) for slot, value in state.item.attributes if slot == "side")
    other = "right" if named == "left" else "left"
    before = state.items[state.index - 1].attributes if state.index else ()
    for mention in (state.clause.mentions or state.mentions)[-1:]:
        if mention.of_structure:  # "the right hilum is larger than the left"
            if before and before[0] == ("change", mention.change):
                mention.change = ""
            continue
        mention.side = "bilateral"
        if ("change", "increased") in before:
            mention.give("descriptor", f"larger_{other}")
        elif ("change", "decreased") in before:
            mention.give("descriptor", f"larger_{named}")
    state.side = ""
    return True


def _date_back(state: State) -> None:
    before = state.items[state.index - 1] if state.index else None
    valued = before is not None and any(slot in ("size", "severity") for slot, _ in before.attributes)
    if valued and dated_behind(state.items, state.index - 1):
        return  # "20 mm yesterday and 30 mm today"
    denied = state.scope.denied
    if denied is not None and denied.of_change and before is not None and before.kind == "conclude":
        for mention in state.clause.mentions:  # "neither the effusion nor the edema was present last week"
            if mention.at > state.denied_at:
                mention.certainty, mention.change = "present", "new"
    state.dated_back = state.item.last


def _compare(state: State) -> None:
    state.dated_back = state.item.last
    state.compared = state.item
    graded, state.graded = state.graded, None
    last = state.clause.mentions[-1] if state.clause.mentions else None
    adjacent = graded is not None and state.item.first - graded.last == 1  # "edema is less than before"
    if graded is not None and last is not None and (adjacent or last.at > graded.first):
        last.give("change", graded.attributes[0][1])  # "less edema than before"


def _grade_comparison(state: State) -> bool:
    state.graded = state.item
    items, i = state.items, state.index
    if state.clause.verb and state.clause.mentions and (i + 1 == len(items) or items[i + 1].kind in _ENDS_STATEMENT):
        state.clause.mentions[-1].give("change", state.item.attributes[0][1])  # "the edema is less"
    used = state.compared is not None and next_is(state.items, state.index, "observation")
    return not used  # "a larger heart than before, and less edema"


def _nothing(state: State) -> None:
    """Only other phrases look at this one."""


EFFECTS: Mapping[str, Callable[[State], bool | None]] = {
    "comma": marks.comma,
    "and": marks.and_,
    "or": marks.or_,
    "introduce": marks.introduce,
    "open": marks.open_,
    "close": marks.close_,
    "deny_forward": denials.deny_forward,
    "deny_backward": denials.deny_backward,
    "deny_elsewhere": denials.deny_elsewhere,
    "doubt_forward": doubts.doubt_forward,
    "doubt_backward": doubts.doubt_backward,
    "doubt_both": doubts.doubt_both,
    "leave_open": doubts.leave_open,
    "affirm": doubts.affirm,
    "assure": doubts.assure,
    "consider": doubts.consider,
    "disfavor": doubts.disfavor,
    "set_aside_forward": scopes.set_aside_forward,
    "set_aside_backward": scopes.set_aside_backward,
    "end_scope": scopes.end_scope,
    "subordinate": scopes.end_scope,
    "relate": scopes.relate,
    "attend": scopes.attend,
    "point": scopes.relate,
    "explain": doubts.explain,
    "link": _link,
    "replace": denials.replace_device,
    "remove": denials.remove_device,
    "plan": planned.leave_out_planned,
    "plan_next": planned.plan_next,
    "suppose": scopes.suppose,
    "pair": pair,
    "end_clause": _end_clause,
    "begin_statement": _nothing,
    "conclude": _nothing,
    "verb": _verb,
    "past": _past,
    "all": _all,
    "now": _now,
    "remain": _remain,
    "refer_back": _refer_back,
    "refer_to_part": _refer_to_part,
    "repeat": _repeat,
    "contrast": _contrast,
    "compare_places": _nothing,
    "compare": _compare,
    "compare_back": _compare,
    "grade_comparison": _grade_comparison,
    "date_back": _date_back,
    "date_both": _date_back,
    "view": _nothing,
    "read_over": _nothing,
}
"""Kind of cue or mark → what it does to the state. True: it has used the attributes that its words state."""
