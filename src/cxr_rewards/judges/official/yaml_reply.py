"""Reads replies in YAML: texts, lists and tables alone, whatever tags they carry."""

from __future__ import annotations

import re
from typing import Any

from cxr_rewards.errors import VerdictParseError, shorten
from cxr_rewards.judges.quoting import leads_to_quote, line_before
from cxr_rewards.judges.reading import answer_of

_LONGEST = 30_000
_FENCE = re.compile(r"^```[\w-]*[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def yaml_in(reply: str) -> Any:
    r"""Return the data of a reply that is YAML, or that holds it in its only code fence; every scalar is a text.

    Raises:
        VerdictParseError: it is not YAML, a key is given twice, or it is longer than 30,000 characters.

    Example:
        >>> yaml_in("phrase: Edema.\nstatus: entailment\nevidence: []")
        {'phrase': 'Edema.', 'status': 'entailment', 'evidence': []}
    """
    import yaml

    text = answer_of(reply)
    if len(text) > _LONGEST:
        raise VerdictParseError(f"the reply has {len(text):,} characters, more than {_LONGEST:,}")
    fenced = [fence[1] for fence in _FENCE.finditer(text) if not leads_to_quote(line_before(text, fence.start()))]
    if len(fenced) > 1:
        raise VerdictParseError("more than one code fence")
    try:
        loader = yaml.BaseLoader(fenced[0] if fenced else text)
        try:
            node = loader.get_single_node()
            _check_keys(node, 0)
            return loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise VerdictParseError(f"no valid YAML: {shorten(str(error), 200)}") from None


def _check_keys(node: Any, depth: int) -> None:
    """Raise for a table with a key twice, and for what is nested deeper than any reply, such as in itself."""
    import yaml

    if depth > 10:
        raise ValueError("nested too deeply")
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        if any(not isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
            raise ValueError("a key is given twice, or is not a text")
        for _, value in node.value:
            _check_keys(value, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_keys(value, depth + 1)
