"""Reading of one sentence: a walk over its known phrases, from left to right.

`walk` makes one `State` and hands it, phrase by phrase, to functions that change it:

- `state.py`: the state, field by field; `mention.py`: a finding in the making, and the result.
- `walk.py`: the loop, and the end of the sentence.
- `cues.py`: denials, doubts and their ends, punctuation, verbs, references.
- `structures.py`: structures, observations and qualities; how they combine.
- `attributes.py`: which finding a side, place, severity, size, change or position belongs to.
- `statements.py`: add a finding; end a scope or a clause.
- `lookahead.py`: questions about the phrases to come. They change nothing.
"""

from cxr_rewards.findings.walker.attributes import change_between
from cxr_rewards.findings.walker.mention import Fields, Sentence
from cxr_rewards.findings.walker.walk import walk

__all__ = ["Fields", "Sentence", "change_between", "walk"]
