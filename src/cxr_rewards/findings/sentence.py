"""What one sentence says: a walk over its known phrases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cxr_rewards.findings.clause import KEPT, Clause
from cxr_rewards.findings.finding import Finding, Side
from cxr_rewards.findings.lookahead import JOINS, REACH, sided
from cxr_rewards.findings.mention import Mention, Part, Sentence, give
from cxr_rewards.findings.ontology import Attribute
from cxr_rewards.findings.phrases import Item

_LOCATION = frozenset(("side", "place"))
_LISTS = frozenset(("place", "descriptor"))
_OTHER = ("descriptor", "other")
_CHANGE = Finding._fields.index("change")


class Walker(Clause):
    """Walks over the phrases of one sentence and collects what it says."""

    # ---------------------------------------------------------------- one phrase after the other

    def read(self) -> Sentence:
        """Walk over the sentence."""
        for i, item in enumerate(self.items):
            kind = item.kind
            self.index, self.at = i, item.first
            if kind == "modifier":
                self.modify(i, item, item.attributes)
            elif kind == "observation":
                self.observation(i, item)
            elif kind == "structure":
                self.structure(i, item)
            elif kind == "quality":
                self.quality_and_degree(i, item)
            else:
                self.cue(i, item)
        self.new_clause()
        return self.result()

    def result(self) -> Sentence:
        refers_back = bool(self.items) and self.items[0].kind == "refers_back"
        pending = [*self.unsaid, *(("position", position) for position in self.positions)]
        for mention in self.found:
            if mention.rows and self.is_kind_of(mention.observation, "fracture"):  # "fractures of ribs 5 to 7"
                mention.number = mention.number or mention.rows
        others = any(_OTHER in item.attributes for item in self.items)
        for mention in self.found:
            mention.descriptor = tuple(name for name in mention.descriptor if name != "other")
            if mention.polarity == "absent" and (others or mention.change in ("new", "increased")):
                mention.descriptor = (*mention.descriptor, "other")  # "no new effusion" denies none that is told
        findings = [mention.fields() for mention in self.found]
        if (pending or self.compared is not None) and not (refers_back and not self.found):
            changes = [value for slot, value in pending if slot == "change"]
            told = any(fields[_CHANGE] for fields in findings)
            if changes and not told:
                start, end = self.items[0].start, self.items[-1].end
                findings.append(tuple(Finding("comparison", change=changes[0], start=start, end=end)))
            elif self.compared is not None and not told:
                findings.append(tuple(Finding("comparison", start=self.compared.start, end=self.compared.end)))
        return Sentence(tuple(findings), refers_back, tuple(pending))

    def cue(self, i: int, item: Item) -> None:
        """Read a word that says how others are to be understood."""
        if item.kind == "denies_previous" and (self.mentions or not self.forward(i)):
            self.deny_previous(item)
            return
        if not (self.joint(i, item.kind) or self.scope(item.kind)):
            self.reference(i, item)
        stood = item.kind == "stands_for" and self.found and self.found[-1].at == item.first  # "a small one"
        if item.attributes and not stood:
            self.modify(i, item, item.attributes)

    def joint(self, i: int, kind: str) -> bool:
        """Read what joins or parts statements; return whether it did."""
        if kind in JOINS and self.last_joint not in ("and", "or"):
            self.last_joint = kind
        if kind in ("comma", "and"):
            concluded = self.denied and i > 0 and self.items[i - 1].kind == "concludes" and kind == "comma"
            if concluded or self.starts_clause(i):
                self.new_clause()
            elif kind == "comma":
                if self.segment and self.another_finding(i):
                    self.segment = []
                if self.side_used:
                    self.side = ""
                if self.mentions:
                    self.waiting.pop("change", None)
        elif kind in ("or", "joins_as_doubt"):
            self.join(i, self.items[i])
        elif kind == "ends_clause":
            self.new_clause()
        elif kind == "opens":
            self.outer = (self.denied, self.softened, self.doubted, self.aside)
            self.before = list(self.mentions), list(self.segment)
            self.end_scope()
        elif kind == "closes" and self.outer is not None:
            self.denied, self.softened, self.doubted, self.aside = self.outer
            self.mentions, self.segment = self.before
            self.outer = None
        elif kind == "closes":  # "a) large effusion b) clear lungs"
            self.new_clause()
        elif kind == "introduces":
            self.introduce(i)
        else:
            return False
        return True

    def scope(self, kind: str) -> bool:
        """Read what denies or softens what follows, or ends that; return whether it did."""
        if kind in ("denies_next", "denies_previous"):  # the latter in "resolved effusion"
            self.denied = True
        elif kind == "softens_next":
            self.softened = True
            self.explain()
        elif kind == "softens_previous":
            for mention in self.enumerated():
                mention.polarity = "possible"
        elif kind == "sets_aside_previous":
            self.found = [mention for mention in self.found if mention not in self.mentions]
            self.mentions, self.segment = [], []
        elif kind == "over":
            self.softened = self.softened or self.favored
        elif kind == "sets_aside_next":
            self.aside = True
        elif kind in ("ends_scope", "explains"):
            self.end_scope()
            self.segment = []
            self.last_joint = kind
            if kind == "explains":
                self.explain()
                self.favored = True
        else:
            return False
        return True

    def reference(self, i: int, item: Item) -> None:
        """Read what points to a finding, an image or a measure of before."""
        kind = item.kind
        if kind == "is_verb":
            self.verb = self.had_verb = True
        elif kind == "none":
            self.deny_elsewhere(i, item)
        elif kind == "stands_for":
            if not self.stands():
                return
            if self.waiting or (self.found and item.last > item.first):
                name = self.found[-1].observation if self.found else ""
                if self.side_used:  # "a left effusion, and a small one on the right"
                    self.side = ""
                better = self.by_structure(i, item, name)
                self.say(better[0] if better else name, item, own=False)
        elif kind == "refers_back":
            self.tip = True
        elif kind == "links":
            self.explain()
        elif kind in ("formerly", "compares"):
            self.formerly = item.last
            if kind == "compares":
                self.compared = item

    def explain(self) -> None:
        """Let what follows lie where the finding before it lies: "opacity at the left base, likely pneumonia"."""
        self.explained = self.mentions[-1] if self.mentions else None

    def introduce(self, i: int) -> None:
        """Read a colon: "Unchanged: cardiomegaly, effusion" says it of all that follow; "Heart: normal" is a verb."""
        self.verb = True
        before = self.items[i - 1] if i else None
        changes = [value for slot, value in before.attributes if slot == "change"] if before else []
        if changes and changes[0] != "resolved":
            self.listed = changes[0]
            self.waiting.pop("change", None)
            self.change_used = True

    def deny_previous(self, item: Item) -> None:
        if self.tip:  # "the tip is not seen"
            return
        resolved = ("change", "resolved") in item.attributes
        for mention in self.enumerated():
            if resolved or mention.change == "stable":  # "the previously seen nodule is not visualized"
                mention.change = "resolved"
            mention.polarity = "absent"
        if not self.mentions:
            self.unsaid.append(("polarity", "absent"))
            self.unsaid += item.attributes

    def enumerated(self) -> list[Mention]:
        """Return the last finding with those it is listed with: all of "A, B, and C", the last of "A with B, C"."""
        listed: list[Mention] = []
        closed = False
        for mention in reversed(self.mentions):
            listed.append(mention)
            closed = closed or mention.joint in ("and", "or")
            if mention.joint not in JOINS or not closed:
                break
        return listed

    def deny_elsewhere(self, i: int, item: Item) -> None:
        """Read "effusion: none", and "a left effusion, none on the right"."""
        if i and self.items[i - 1].kind in ("introduces", "is_verb"):
            self.deny_previous(item)
        elif self.mentions:
            self.denied = True
            self.side, self.segment = "", []
            self.say(self.mentions[-1].observation, item)

    def join(self, i: int, item: Item) -> None:
        """Read "atelectasis or scarring" as two possible findings, "no atelectasis or scarring" as two denials."""
        after = self.ahead(i, ("observation",))
        if self.denied or after is None or not self.mentions:
            return
        last = self.mentions[-1]
        if last.polarity == "present" and item.first - last.at <= REACH:
            last.polarity = "possible"
            self.doubted = True

    # ---------------------------------------------------------------- what is said of findings

    def modify(self, i: int, item: Item, attributes: Iterable[Attribute]) -> None:
        """Give what a phrase says to the findings it speaks of: one to come, or those before it."""
        forward: bool | None = None
        for slot, value in attributes:
            if slot == "position":
                self.place_device(value)
                continue
            if forward is None:
                forward = self.forward(i)
            if self.formerly >= 0 and item.first - self.formerly <= 2 and slot in ("size", "severity"):
                self.compare_with_former(slot, value)
                continue
            if slot == "severity" and self.grades_change(i, item):
                continue
            if slot == "change" and not forward:
                if self.denied and value in ("increased", "decreased", "new"):  # "no evidence of progression"
                    value = "stable"
                if self.of_structure(i):
                    self.unsaid.append((slot, value))
                    continue
            if forward:
                self.wait(slot, value, item)
            elif slot in _LOCATION:
                self.locate(slot, value, item)
            else:
                self.say_of_previous(slot, value, item)

    def compare_with_former(self, slot: str, value: float) -> None:
        """Read a change out of two sizes: "9 mm, previously 6 mm"."""
        if self.mentions and not self.mentions[-1].change and (now := getattr(self.mentions[-1], slot)):
            ratio = now / value if value else 1.0
            self.mentions[-1].change = "increased" if ratio > 1.1 else "decreased" if ratio < 0.9 else "stable"

    def wait(self, slot: str, value: Any, item: Item) -> None:
        """Keep what is said for the finding to come."""
        if slot == "side":
            if self.side and self.side_fresh and not self.side_used and self.side != value:
                said = {slot: pair for slot, pair in self.waiting.items() if slot != "change"}
                if any(slot != "number" for slot in said) and "bilateral" not in (self.side, value):
                    later = {slot: pair for slot, pair in said.items() if pair[1] > self.side_at and slot != "place"}
                    if self.joined():  # "left small and right moderate"
                        later = {}
                    self.bundles.append((self.side, {k: v for k, v in self.waiting.items() if k not in later}))
                    self.waiting = {**later, **{k: v for k, v in self.waiting.items() if k == "change"}}
                elif item.first - self.side_at <= 3 and (self.side != "bilateral" or self.joined()):
                    value = "bilateral"  # but "diffuse right-sided disease" is on the right
            self.side = value
            self.side_at, self.side_used, self.side_fresh = item.last, False, True
            return
        if slot == "change":
            self.change_used = False
        old = self.waiting.get(slot)
        if slot == "severity" and old is not None and self.side_fresh and not self.side_used and old[1] < self.side_at:
            self.bundles.append((self.side, {k: v for k, v in self.waiting.items() if k != "change"}))
            self.waiting = {k: v for k, v in self.waiting.items() if k == "change"}
            self.side, old = "", None
        if old is not None and slot in _LISTS:
            value = old[0] if value in old[0] else (*old[0], value)
        elif slot in _LISTS:
            value = (value,)
        elif old is not None and slot == "severity" and item.first - old[1] <= 2:
            value = (old[0] + value) / 2  # "mild to moderate"
        self.waiting[slot] = (value, item.last)

    def joined(self) -> bool:
        """Judge whether an "and" stands right before."""
        return self.index > 0 and self.items[self.index - 1].kind == "and"

    def locate(self, slot: str, value: Any, item: Item) -> None:
        """Give a side or place to the findings before it, or keep it: "in the right lower lobe, there is ..."."""
        reached = [m for m in self.segment if item.first - m.at <= 2 * REACH]
        placed = [m for m in reached if self.has_place(m.observation, value)]
        if not placed:
            if not self.segment:
                self.wait(slot, value, item)
            return
        for mention in self.located_together(placed, slot):
            if slot == "place":
                if value not in mention.place:
                    mention.place = (*mention.place, value)
            elif not mention.side:
                mention.side = value
            elif mention.located_at >= 0 and mention.side != value:
                if self.spare is not None and mention is placed[-1]:  # "moderate on the left and trace on the right"
                    self.add_located(mention.copy(), value, item)
                    return
                mention.side = "bilateral"  # "at the left base and in the right apex"
            if mention.located_at < 0:
                mention.located_at = item.first

    def located_together(self, placed: list[Mention], slot: str) -> list[Mention]:
        """Return the findings that a place speaks of: "atelectasis and effusion at the left base", both; "nodule in the
        apex and mass at the base", the last.
        """
        last = placed[-1]
        if last.located_at >= 0:  # one more word for those that were located with it
            return [mention for mention in placed if mention.located_at == last.located_at]
        if slot == "place" and last.place:
            return [last]
        together: list[Mention] = []
        for mention in reversed(placed):
            if mention.located_at >= 0:
                break
            together.append(mention)
        return together

    def add_located(self, other: Mention, side: Side, item: Item) -> None:
        """Add the same finding on another side, with the degree that was told for it."""
        if self.spare is not None:
            setattr(other, *self.spare)
            self.spare = None
        other.side, other.located_at = side, item.first
        self.found.append(other)
        self.mentions.append(other)
        self.segment.append(other)

    def is_kind_of(self, observation: str, other: str) -> bool:
        return bool(observation) and (observation == other or other in self.known.observations[observation].ancestors)

    def has_place(self, observation: str, value: str) -> bool:
        """Judge whether an observation can be in a place: one that has no side only at a vertebra."""
        return not observation or not self.known.observations[observation].unpaired or value[-1].isdigit()

    def say_of_previous(self, slot: str, value: Any, item: Item) -> None:
        if not self.mentions:
            self.wait(slot, value, item)
            return
        # "cardiomegaly and effusions are stable" speaks of both; "cardiomegaly and effusions, stable" of the last
        shared = self.verb and slot in ("severity", "change")
        last = self.mentions[-1]
        for mention in self.mentions:
            if not shared and mention is not last and (slot != "change" or mention.at != last.at):
                continue
            if slot == "severity" and mention.severity and item.first - mention.at <= 2 + REACH:
                if self.range_before(item):
                    mention.severity = (mention.severity + value) / 2
                elif mention.located_at >= 0:
                    self.spare = (slot, value)
                continue
            if slot == "change" and mention.change == "stable" and value in ("increased", "decreased"):
                mention.change = value  # "residual edema, improved"
                continue
            give(mention, slot, value)

    def place_device(self, position: str) -> None:
        if self.denied:
            return
        if self.devices:
            give(self.devices[-1], "position", position)
        else:
            self.positions.append(position)

    # ---------------------------------------------------------------- structures, observations, qualities

    def structure(self, i: int, item: Item) -> None:
        side = self.side if item.first - self.side_at <= 3 else ""
        places = tuple(value for slot, value in item.attributes if slot == "place")
        if "place" in self.waiting and item.first - self.waiting["place"][1] <= 3:
            places = (*self.waiting["place"][0], *places)
        self.parts = [*self.parts[1 - KEPT :], Part(item.names[0], side, places, item)]
        self.modify(i, item, item.attributes)
        self.verb = False

    def observation(self, i: int, item: Item) -> None:
        refined = self.refined.get(i)
        if refined is not None:
            self.say(refined[0], item, possible=refined[1])
            return
        for name in item.names:
            better = self.by_structure(i, item, name) if name in self.known.refined_by_structure else None
            self.say(better[0] if better else name, item, possible=bool(better and better[1]))
        self.verb = False

    def by_structure(self, i: int, item: Item, name: str) -> tuple[str, bool] | None:
        """Look for a structure that makes an observation more precise: "fracture" of a rib."""
        for part in reversed(self.parts):
            found = self.known.combinations.get((part.name, name))
            if found and item.first - part.item.last <= REACH:
                return found
        j = self.ahead(i, ("structure", "observation"))
        if j is not None and self.items[j].kind == "structure":
            return self.known.combinations.get((self.items[j].names[0], name))
        return None

    def quality_and_degree(self, i: int, item: Item) -> None:
        """Read a quality with what else its word says: "large" of a heart and of an effusion."""
        before = len(self.found)
        if not self.quality(i, item):
            if item.attributes:
                self.modify(i, item, item.attributes)
            return
        for slot, value in item.attributes:
            if slot == "severity" and len(self.found) > before:
                give(self.found[-1], slot, value)
            elif slot == "severity":
                self.wait(slot, value, item)

    def quality(self, i: int, item: Item) -> bool:
        """Read a quality; return whether it made or refined a finding."""
        name = item.names[0]
        if name == "normal":
            self.normal(i, item)
            return False
        if name == "abnormality":
            self.abnormality(i, item)
            return False
        if self.verb:  # "the heart is enlarged"
            return self.qualify_previous(item, name) or self.qualify_next(i, item, name)
        if self.qualify_next(i, item, name):
            return True
        return not (item.attributes and self.forward(i)) and self.qualify_previous(item, name)

    def qualify_next(self, i: int, item: Item, name: str) -> bool:
        """Join a quality with the structure or observation after it: "enlarged heart", "calcified nodule"."""
        j = self.ahead(i, ("structure", "observation"))
        found = None
        while j is not None:
            target = self.items[j]
            found = self.known.combinations.get((target.names[0], name))
            # "tortuosity and atherosclerosis of the aorta": look past the second of two things joined
            if found is not None or (target.kind == "observation" and self.items[j - 1].kind not in JOINS):
                break
            j = self.ahead(j, ("structure", "observation"))
            if j is not None and self.items[j].first - item.last > REACH:
                return False
        if j is None or found is None:
            return False
        if target.kind == "observation":
            if self.items[i + 1].kind in ("and", "comma"):  # "calcified and tortuous aorta" is two findings
                self.say(found[0], item, possible=found[1], own=False)
            else:
                self.refined[j] = found
            return True
        for k in range(i + 1, j):  # "blunting of the left costophrenic angle"
            for slot, value in self.items[k].attributes if self.items[k].kind == "modifier" else ():
                if slot in _LOCATION:
                    self.wait(slot, value, self.items[k])
        self.say(found[0], item, possible=found[1], own=False)
        self.refined[j] = found
        return True

    def qualify_previous(self, item: Item, name: str) -> bool:
        """Join a quality with what came before it in the clause: "the heart is enlarged", "a nodule, calcified"."""
        combinations = self.known.combinations
        for part in reversed(self.parts):
            found = combinations.get((part.name, name))
            if found is not None:
                self.say(found[0], item, possible=found[1], part=part, own=False)
                self.parts = [other for other in self.parts if other is not part or name != "enlarged"]
                return True
        for mention in reversed(self.mentions):
            found = combinations.get((mention.observation, name))
            if found is not None and item.first - mention.at <= REACH:
                mention.observation = found[0]
                return True
        return False

    def normal(self, i: int, item: Item) -> None:
        if self.denied or self.aside:
            return
        j = i + 1
        adjacent = (
            j < len(self.items)
            and (self.items[j].kind == "structure" or sided(self.items[j]))
            and self.items[j].first - item.last <= 2
        )
        if adjacent and not (self.verb and self.parts):
            while j < len(self.items):
                following = self.items[j]
                if following.kind == "structure":
                    self.rule_out(following.names[0], item, "", (), acute=False)
                elif following.kind not in JOINS and following.kind != "modifier":
                    break
                j += 1
            return
        if self.formerly >= 0 and item.first - self.formerly <= 3:  # "previously normal, now enlarged"
            return
        targets = self.targets()
        self.side_used = self.side_used or bool(targets)
        for part in targets:
            self.rule_out(part.name, item, part.side, part.place, acute=False)
        self.parts = []
        if not targets and self.alone():
            self.rule_out("chest", item, "", (), acute=False)

    def abnormality(self, i: int, item: Item) -> None:
        if not self.denied or self.aside:
            return
        targets = [part.name for part in self.targets()]
        if not targets:
            j = self.ahead(i, ("structure", "observation"))
            if j is not None and self.items[j].kind == "structure":
                targets = [self.items[j].names[0]]
        for name in targets or ["chest"]:
            self.rule_out(name, item, "", (), acute=True)
        self.parts = []

    def targets(self) -> list[Part]:
        """Return the structures a statement is about; the chest as a whole only where it is the only one."""
        return [part for part in self.parts if part.name != "chest"] or self.parts

    def alone(self) -> bool:
        """Judge whether the sentence names nothing that "normal" could be said of, as "Unremarkable." does."""
        return self.words <= 4 and all(x.kind not in ("structure", "observation") for x in self.items)
