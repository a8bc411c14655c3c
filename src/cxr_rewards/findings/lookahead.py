"""What stands around a phrase in its sentence."""

from __future__ import annotations

from cxr_rewards.findings.mention import Mention
from cxr_rewards.findings.phrases import Item

REACH = 7
"""How many words may lie between a finding and what is said of it."""
LOOK = 14
"""How many phrases a word looks ahead: bounds the work on hostile text."""
JOINS = frozenset(("comma", "and", "or"))
_ENDS = frozenset(("ends_clause", "ends_scope", "explains", "links", "softens_next", "denies_next"))
_PREDICATES = frozenset(("is_verb", "quality", "denies_next", "denies_previous"))


class Surroundings:
    """The phrases of a sentence, what the clause so far has come to, and questions about what is to come."""

    denied = softened = False
    """What follows is absent; it is only possible."""
    verb = had_verb = predicated = False
    """Since the last structure or finding a verb was read; in this clause one was; something was said."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items
        self.segment: list[Mention] = []
        """Findings since the last comma."""

    def ahead(self, i: int, kinds: tuple[str, ...]) -> int | None:
        """Return the index of the next phrase of one of `kinds` within reach, in the same statement."""
        origin = self.items[i].last
        for j in range(i + 1, min(i + 1 + LOOK, len(self.items))):
            item = self.items[j]
            if item.first - origin > REACH or item.kind in ("ends_clause", "comma", "is_verb", "opens", "closes"):
                return None
            if item.kind in kinds:
                return j
        return None

    def forward(self, i: int) -> bool:
        """Judge whether the phrase at `i` says something of a finding after it: "small" of "small left effusion"."""
        items, origin, modifiers_only = self.items, self.items[i].last, True
        for j in range(i + 1, min(i + 1 + LOOK, len(items))):
            item = items[j]
            kind = item.kind
            if item.first - origin > REACH:
                return False
            if kind in {"observation", "stands_for"}:
                return True
            if kind == "quality":
                if item.names[0] in ("normal", "abnormality"):
                    return False
                if not item.attributes:
                    return True
            elif kind == "structure":
                modifiers_only = False
            elif kind in ("comma", "and", "or"):
                # "new, small effusion"; "moderate left and small right effusions"
                following = items[j + 1].kind if j + 1 < len(items) else ""
                if self.verb or self.segment or not modifiers_only or following not in ("modifier", "quality"):
                    return False
            elif kind not in ("modifier", "neutral", "begins_anew"):
                return False
        return False

    def starts_clause(self, i: int) -> bool:
        """Judge whether what follows the comma or "and" at `i` is a statement of its own, not one more in a list."""
        items = self.items
        if i + 1 >= len(items):
            return False
        first = items[i + 1]
        near = first.first - items[i].last <= 2
        if near and self.begins_anew(first):
            return (self.denied or self.softened) and not self.goes_on(i + 1)
        if not self.predicated and not self.denied:
            return False
        if near and first.kind == "quality" and first.names[0] == "normal" and self.denied:
            return True
        structure = named = False
        if self.had_verb and near and sided(first) and i + 2 < len(items) and items[i + 2].kind == "is_verb":
            return True  # "the left effusion is larger, the right is smaller"
        for j in range(i + 1, min(i + 1 + LOOK, len(items))):
            item = items[j]
            if named and item.kind == "is_verb":  # "effusions are stable, edema is improved"
                return True
            if item.kind in JOINS or item.kind == "ends_clause":
                return False
            if item.kind == "observation":
                if not self.had_verb:
                    return False
                named = True
            if item.kind == "structure":
                structure = True
            elif structure and item.kind in _PREDICATES:
                return not (item.kind == "quality" and item.names[0] == "abnormality")
        return False

    def begins_anew(self, item: Item) -> bool:
        if item.kind == "begins_anew":
            return True
        return item.kind == "modifier" and any(
            slot in ("severity", "change") or (slot == "descriptor" and value == "old")
            for slot, value in item.attributes
        )

    def goes_on(self, i: int) -> bool:
        """Judge whether a list joined by "or" goes on: "no effusion, small nodule, or mass"."""
        for j in range(i, min(i + LOOK, len(self.items))):
            kind = self.items[j].kind
            if kind == "or":
                return True
            if kind in ("ends_clause", "is_verb", "and", "denies_next"):
                return False
        return False

    def another_finding(self, i: int) -> bool:
        """Judge whether the comma at `i` parts two findings with words of their own.

        In "atelectasis, effusion at the left base" it parts two of a list; in "fracture, at T7" it parts nothing.
        """
        for j in range(i + 1, min(i + 1 + LOOK, len(self.items))):
            kind = self.items[j].kind
            if kind in {"observation", "quality"}:
                return j > i + 1
            if kind in JOINS or kind in _ENDS:
                return False
        return False

    def grades_change(self, i: int, item: Item) -> bool:
        """Judge whether a degree is that of a change, not of the finding: "slightly increased"."""
        if i + 1 == len(self.items):
            return False
        following = self.items[i + 1]
        changes = any(slot == "change" and value in ("increased", "decreased") for slot, value in following.attributes)
        return changes and following.first - item.last <= 1

    def of_structure(self, i: int) -> bool:
        """Judge whether a change is that of a structure: "leads and an unchanged cardiac silhouette"."""
        following = self.items[i + 1] if i + 1 < len(self.items) else None
        return following is not None and following.kind == "structure" and following.first - self.items[i].last == 1

    def range_before(self, item: Item) -> bool:
        """Judge whether another degree stands right before: "is mild to moderate"."""
        return any(
            other.last >= item.first - 2
            and other.last < item.first
            and any(s == "severity" for s, _ in other.attributes)
            for other in self.items
            if other.kind == "modifier"
        )


def sided(item: Item) -> bool:
    return item.kind == "modifier" and any(slot == "side" for slot, _ in item.attributes)
