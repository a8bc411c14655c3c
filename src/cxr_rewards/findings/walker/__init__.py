"""Reading of one sentence: a walk over its known phrases, from left to right.

`walk` makes one `State` and hands it, phrase by phrase, to functions that change it:

- `state.py`: the state, field by field; `mention.py`: a finding in the making, and the result.
- `walk.py`: the loop, and the end of the sentence.
- `cues.py`: verbs, references, and which function reads each kind of cue: those of denials (`denials.py`), doubts
  (`doubts.py`), the ends of both and what is set aside (`scopes.py`), devices that are only planned (`planned.py`), and
  punctuation (`marks.py`).
- `structures.py`: structures, observations and qualities; how they combine. `normal.py`: what is called normal.
- `attributes.py`: which finding an attribute belongs to: a side or place (`locating.py`), one of two sizes
  (`two_times.py`), one that is said before its finding (`waiting.py`), a change for each side (`each_side.py`).
- `statements.py`: add a finding; end a scope or a clause.
- `lookahead.py`: questions about the phrases to come. They change nothing.
"""

from cxr_rewards.findings.walker.mention import Fields, Sentence
from cxr_rewards.findings.walker.two_times import change_between
from cxr_rewards.findings.walker.walk import walk

__all__ = ["Fields", "Sentence", "change_between", "walk"]
