"""Effects of cues that deny findings, or say that a device is out."""

from __future__ import annotations

from cxr_rewards.findings.finding import DENIED
from cxr_rewards.findings.item import Item
from cxr_rewards.findings.walker.locating import LOCATION
from cxr_rewards.findings.walker.lookahead import (
    DATES,
    JOINS,
    LOOK,
    REACH,
    has_complement,
    has_side,
    next_is,
    next_of,
    side_stands_alone,
    speaks_of_next,
)
from cxr_rewards.findings.walker.mention import Mention
from cxr_rewards.findings.walker.planned import is_advised
from cxr_rewards.findings.walker.scopes import ABSENCE, NAMING, current_cue, listed_together, share_location
from cxr_rewards.findings.walker.state import State
from cxr_rewards.findings.walker.statements import can_repeat, end_scopes, names_side_only, repeat_last, subjects

_BEHIND_ON = 3
_BEHIND_IMAGE = 5
"""Most words from "not seen" to a date, with it: "not seen on the film from 2019"."""
_BETWEEN = 4
"""Most phrases between a device and the word that it is out."""
_CLOSES = frozenset((*JOINS, "end_clause", "close"))
_NO_LONGER = "no_longer"
_NOT_OF = "not_of"
_LEAVES = ("free", "resolution_of", "clearing_of")
"""Cues that "not of" takes back: "free of edema, if not of effusion"."""
_FOREIGN = "foreign_body"
_WHERE = (*LOCATION, "position")
_TO_PLACE = 4
"""Most words to the place: "no longer lodged in the gullet"."""
_REMOVAL = "removal"
_INSTEAD, _OVER = "instead", "over"
"""Cues of "rather than" and of "favor A over B", which mean the same behind what is favored."""
_EXCLUDED = "excluded"
_NOT_SEEN = "not_seen"
"""Cue of what another view may still show."""


def deny_forward(state: State) -> bool:
    """Carry out a denial, unless it is an advice; return whether nothing more is to be read of its words."""
    if _is_removal_of_previous(state) and is_advised(state):
        return True
    _deny_forward(state)
    return False


def _deny_forward(state: State) -> None:
    if state.favored is not None and state.scope.doubted is None and current_cue(state).name == _INSTEAD:
        state.scope.doubted = state.known.cues[_OVER]  # "favor edema rather than pneumonia"
        return
    if state.before and _deny_like_before(state):
        return
    if _is_removal_of_previous(state):
        _deny_findings(state, state.clause.mentions[-1:])
        return
    if current_cue(state).grade == "unlikely" and not has_complement(state.items, state.index):
        if state.clause.mentions:
            _deny_previous(state)
            return
        if state.mentions and not state.clause.parts:  # "pneumonia is possible, but unlikely"
            state.mentions[-1].certainty = current_cue(state).grade
            return
    if current_cue(state).name == _NO_LONGER and _is_elsewhere_now(state):
        _deny_findings(state, state.clause.mentions[-1:])
        for mention in state.clause.mentions[-1:]:
            mention.change = "resolved"
        return
    denied = state.scope.denied
    if current_cue(state).name == _NOT_OF and _denies_what_goes_on(state):
        return
    if denied is None or not denied.of_change:  # "neither ... nor"
        state.scope.denied = current_cue(state)
        state.denied_at = state.item.first
    if state.side_used and state.index and state.items[state.index - 1].kind in JOINS:
        state.side = ""  # "left effusion and no pneumothorax"
    if state.mentions and side_stands_alone(state.items, state.index + 1) and can_repeat(state):
        state.side, state.clause.since_comma = "", []
        repeat_last(state)  # "seen on the left, but not on the right"


def _denies_what_goes_on(state: State) -> bool:
    """Read "not of" as the denial of what the words before it say: "clearing of the edema, but not of the effusion"."""
    denied, last = state.scope.denied, state.clause.mentions[-1:]
    if denied is not None and denied.name in _LEAVES:
        state.scope.denied = None
        if denied.name != "free":
            _expect_no_change(state)
        return True
    if denied is None and last and last[0].change in ("increased", "decreased"):
        _expect_no_change(state)  # "worsening of the edema, but not of the effusion"
        return True
    return False


def _is_elsewhere_now(state: State) -> bool:
    """Return whether only a place follows: "the coin is no longer at the base". A device may just have moved."""
    items, i, mentions = state.items, state.index, state.clause.mentions
    if not mentions or not i or items[i - 1].kind not in ("verb", "past"):
        return False
    name = mentions[-1].observation
    following = next((item for item in items[i + 1 : i + 3] if item.kind != "point"), None)
    if name in state.known.devices and _FOREIGN not in (name, *state.known.observations[name].ancestors):
        return False
    if following is None or following.first - state.item.last > _TO_PLACE:
        return False
    located = any(slot in _WHERE for slot, _ in following.attributes[:1])
    return following.kind == "structure" or (following.kind == "modifier" and located)


def _expect_no_change(state: State) -> None:
    state.waiting["change"], state.change_used = ("stable", state.item.last), False
    if state.side_used:
        state.side = ""


def _is_removal_of_previous(state: State) -> bool:
    """Return whether the cue of a removal stands right behind a device: "after drain removal"."""
    mentions, before = state.clause.mentions, state.items[state.index - 1]
    if not mentions or current_cue(state).name != _REMOVAL or before.kind != "observation":
        return False
    return mentions[-1].observation in state.known.devices and state.item.first - before.last == 1


def _deny_like_before(state: State) -> bool:
    """Read a denial of what the clause before says: "edema has improved, but the effusion has not"."""
    items, i, before = state.items, state.index, state.before[-1]
    if _is_pronoun(items, i + 1):  # "but there is no evidence of it"
        _deny_findings(state, state.before[-1:])
        return True
    if "comma" not in current_cue(state).ended_by:
        return False
    last = i + 1 == len(items) or items[i + 1].kind == "end_clause"
    if last and state.clause.mentions and _is_left_open(state):  # "effusion can be excluded, pneumonia cannot"
        state.clause.mentions[-1].certainty = "possible"
        return True
    if last and items[i - 1].kind == "verb" and names_side_only(state):
        repeat_last(state)
        state.mentions[-1].certainty = "present"
    if last and state.clause.mentions and items[i - 1].kind == "verb":
        for mention in listed_together(state):  # "effusion is seen; edema and pneumothorax are not"
            if not before.change:
                mention.certainty = "absent"
            elif before.change != "stable":
                mention.give("change", "stable")
        return True
    if last or not before.change or items[i - 1].kind != "end_clause" or state.item.first - items[i - 1].last != 1:
        return False
    if items[i - 1].last > items[i - 1].first:  # "there is not any effusion"
        return False
    if items[i + 1].kind not in ("observation", "modifier") or items[i + 1].first - state.item.last != 2:
        return False
    _expect_no_change(state)
    return True


def _is_left_open(state: State) -> bool:
    """Return whether the clause before excludes its finding, and this denial means the same of another."""
    if state.before[-1].certainty not in DENIED or state.before[-1].change:
        return False
    clause = state.clause
    before = state.items[max(0, clause.begins - LOOK) : max(0, clause.begins)]
    return any(item.names[:1] == (_EXCLUDED,) for item in before)


def _is_pronoun(items: list[Item], i: int) -> bool:
    """Return whether the phrase at `i` stands for a finding before, right behind the phrase before it."""
    if i >= len(items) or items[i].kind != "refer_back" or items[i].first - items[i - 1].last > 1:
        return False
    return i + 1 == len(items) or items[i + 1].kind not in (*NAMING, "verb", "past")


def deny_backward(state: State) -> bool:
    """Deny the findings before, or as in "resolved effusion" those after; return whether it was those before."""
    i = state.index
    if state.before and not state.clause.mentions and _is_pronoun(state.items, i + 1):  # "ultrasound has refuted this"
        _deny_findings(state, state.before[-1:])
        return True
    suspected = next_is(state.items, i, "doubt_forward")  # "CT has disproved the suspected mass"
    if not state.clause.mentions and speaks_of_next(state, i + suspected):
        deny_forward(state)
        return False
    if names_side_only(state):  # "the right has resolved"
        repeat_last(state)
    _deny_previous(state)
    return True


def _deny_previous(state: State) -> None:
    if state.referred_back:  # "the tip is not seen" denies no tube
        return
    if current_cue(state).name == _NOT_SEEN and _is_of_view(state):
        return
    if _denies_descriptor(state):
        return
    denied = state.scope.denied
    if denied is not None and denied.name == ABSENCE:  # "absence of a fracture is not proven"
        for mention in listed_together(state):
            mention.certainty = "possible"
        return
    resolved = ("change", "resolved") in state.item.attributes
    if resolved and deny_change(state):
        for mention in state.clause.mentions:
            mention.give("change", "stable")
        return
    if resolved and state.scope.denied is not None and state.item.first - state.denied_at <= 2:
        for mention in state.clause.mentions[-1:]:
            if mention.at < state.denied_at:  # "has neither resolved nor increased"
                mention.give("change", "stable")
                return
    if not resolved and _is_of_earlier_image(state):
        for mention in subjects(state)[-1:]:  # "not seen on the prior film"
            mention.give("change", "new")
        return
    _deny_findings(state, listed_together(state))
    if not state.mentions and state.scope.set_aside is None:
        state.unclaimed.append(("certainty", current_cue(state).grade))
        state.unclaimed += state.item.attributes


def _is_of_earlier_image(state: State) -> bool:
    """Return whether a date follows: "not seen on the prior film", "not seen on the film from 2019"."""
    items, i = state.items, state.index + 1
    if i < len(items) and items[i].kind == "structure" and items[i].names[0] == "chest":
        i += 1  # the chest film
    return i < len(items) and items[i].kind in DATES and items[i].first - state.item.last <= _BEHIND_IMAGE


def _denies_descriptor(state: State) -> bool:
    """Take back a descriptor that is denied, and not its finding: "right pneumothorax, tension: absent"."""
    items, k = state.items, state.index - 1
    while k >= 0 and items[k].kind in ("introduce", "verb"):
        k -= 1
    if k < 1 or items[k].kind != "modifier" or items[k - 1].kind not in ("comma", "open") or not state.clause.mentions:
        return False
    names = [value for slot, value in items[k].attributes if slot == "descriptor"]
    if len(names) != len(items[k].attributes):
        return False
    last = state.clause.mentions[-1]
    last.descriptor = tuple(name for name in last.descriptor if name not in names)
    return True


def _deny_findings(state: State, mentions: list[Mention]) -> None:
    resolved = ("change", "resolved") in state.item.attributes
    for mention in mentions:
        if resolved or mention.change == "stable":  # "the previously seen nodule is not visualized"
            mention.change = "resolved"
        mention.certainty = current_cue(state).grade if state.scope.left_open is None else "possible"


def _is_of_view(state: State) -> bool:
    """Return whether a view follows that does not show the finding: "not seen laterally", "not seen on the lateral"."""
    following = state.items[state.index + 1] if state.index + 1 < len(state.items) else None
    return following is not None and following.kind == "view" and following.first - state.item.last <= _BEHIND_ON


def deny_change(state: State) -> bool:
    """Return whether a change was denied, and not the findings that it is said of: "neither ... nor ... has resolved".

    They are present then.
    """
    denied = state.scope.denied
    verb = state.clause.verb or state.item.last > state.item.first  # "has increased" is one phrase
    if denied is None or not denied.of_change or not verb:
        return False
    for mention in state.clause.mentions:
        if mention.at > state.denied_at and mention.certainty == "absent":
            mention.certainty = "present"
    return True


def deny_elsewhere(state: State) -> None:
    """Read "effusion: none", and "a left effusion, none on the right"."""
    i, clause = state.index, state.clause
    if i and state.items[i - 1].kind in ("introduce", "verb"):
        _deny_previous(state)
    elif state.mentions:
        last = state.mentions[-1]
        if last.certainty in ("possible", "likely") and all(not has_side(item) for item in state.items[i + 1 : i + 5]):
            last.certainty = "absent"  # "suspected effusion; none is seen"
            return
        state.scope.denied = current_cue(state)
        if state.side_used or not state.side_fresh:
            state.side = ""
        clause.since_comma = []
        repeat_last(state)


def replace_device(state: State) -> bool:
    j = next_of(state.items, state.index, ("observation",))
    if state.clause.mentions and j is not None:  # not in "was exchanged for a larger one"
        if _is_like(state, j):
            share_location(state)
        else:
            _deny_previous(state)
    end_scopes(state)
    share_location(state)
    state.clause.since_comma = []
    return True


def remove_device(state: State) -> bool:
    """Read "ETT out" and "the drain has been withdrawn", but not "withdrawn 3 cm" or "pulled to the left"."""
    items, i, mentions = state.items, state.index, state.clause.mentions
    following = items[i + 1] if i + 1 < len(items) else None
    adjoins = following is not None and following.first - state.item.last == 1
    ends = state.item.last + 1 == state.word_count if following is None else adjoins and following.kind in _CLOSES
    if not ends or not mentions or mentions[-1].observation not in state.known.devices or _is_placed(items, i):
        return True
    if any(item.first > mentions[-1].at and item.kind in NAMING for item in items[max(0, i - _BETWEEN) : i]):
        return True
    if state.item.first - mentions[-1].at <= REACH:
        _deny_previous(state)
    return True


def _is_placed(items: list[Item], i: int) -> bool:
    """Return whether a position follows before the next finding: "withdrawn and now in the right atrium"."""
    for item in items[i + 1 : i + 1 + LOOK]:
        if item.kind in ("observation", "end_clause"):
            return False
        if item.attributes and item.attributes[0][0] == "position":
            return True
    return False


def _is_like(state: State, j: int) -> bool:
    """Return whether what replaces a finding is another such in its place: "a drain exchanged for a pigtail drain"."""
    same = state.clause.mentions[-1].observation in state.items[j].names
    return same and not any(has_side(item) for item in state.items[state.index + 1 : j])
