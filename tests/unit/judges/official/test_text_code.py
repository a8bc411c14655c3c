"""Text-building code is read without being run, and anything else is an error."""

from __future__ import annotations

import pytest

from cxr_rewards.errors import ConfigError
from cxr_rewards.judges.official.text_code import TextCode

SOURCE = '''
import os
from textwrap import dedent

HEAD = "Compare" " two."
SCALE: str = HEAD + f" From {1} to {len('abc')}."
PAIRS = [{"ref": "a", "cand": "b"}, {"ref": "c", "cand": "d"}]
SHOWN = "\\n".join(f"{i}. {p['ref']} / {p['cand']}" for i, p in enumerate(PAIRS, 1) if p.get("ref"))
INDENTED = dedent("""\\
    one
    two
""").strip()
DANGER = os.system("touch stolen")

class Judge:
    label = "Pair"

    def __init__(self, engine="x"):
        self.tail = "Answer:"
        self.engine = connect(engine)

    def pair(self, reference, candidate):
        return "{}: {} vs {}".format(self.label, reference.strip(), candidate)

    def full(self, reference, candidate, most=3):
        """Return all."""
        reference = " ".join(reference.split()[:most])
        text = HEAD
        text += "\\n" + self.pair(reference, candidate=candidate)
        if not candidate:
            text += " (empty)"
        for name, value in {"a": "1"}.items():
            text += f" {name}=%s" % value
        parts = [text]
        parts.append(self.tail)
        return "\\n".join(parts)
'''


def test_constants_are_read_without_running_the_file():
    code = TextCode("judge.py", SOURCE)
    assert code.constant("SCALE") == "Compare two. From 1 to 3."
    assert code.constant("SHOWN") == "1. a / b\n2. c / d"
    assert code.constant("INDENTED") == "one\ntwo"
    assert code.constant("tail") == "Answer:"


def test_a_function_is_read_as_python_would_run_it():
    own = {}
    exec(SOURCE.replace("import os", "").replace('os.system("touch stolen")', "1").replace("connect(engine)", "1"), own)
    code = TextCode("judge.py", SOURCE)
    for pair in [("  one two  three four", "x"), ("{a}", ""), ("%s", "{0}\n"), ("", " ")]:
        assert code.call("full", *pair) == own["Judge"]().full(*pair)
    assert code.call("full", "one two", "x", 1) == own["Judge"]().full("one two", "x", 1)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("return open('/etc/passwd').read()", "line 2: cannot be read without running it: 'open"),
        ("return text.__class__", "line 2: cannot be read without running it"),
        ("return '{0.__class__}'.format(text)", "unknown field '0.__class__' of a format"),
        ("return '%999d' % 1", "only %s is known"),
        ("return __import__('os')", "cannot be read"),
        ("import os", "line 2: cannot be read without running it: 'import os'"),
        ("return text.encode()", "cannot be read"),
        ("return (lambda: text)()", "cannot be read"),
        ("return text + 1", "line 2: TypeError"),
        ("return text[9]", "IndexError"),
        ("return missing", "there is no missing"),
        ("return f'{text!r}'", "cannot be read"),
        ("return build(text)", "takes too many steps|RecursionError"),
    ],
)
def test_what_is_not_text_building_is_an_error_that_names_the_line(statement, message):
    code = TextCode("judge.py", f"def build(text):\n    {statement}")
    with pytest.raises(ConfigError, match=message):
        code.call("build", "x")


def test_missing_names_and_other_languages_are_told():
    with pytest.raises(ConfigError, match=r"judge.py: is not Python: "):
        TextCode("judge.py", "{{reference}} ...")
    code = TextCode("judge.py", "def build(a, b): return a")
    with pytest.raises(ConfigError, match="judge.py: there is no function other"):
        code.call("other")
    with pytest.raises(ConfigError, match="build takes a, b; missing: b"):
        code.call("build", "x")
    with pytest.raises(ConfigError, match="judge.py: there is no PROMPT"):
        code.constant("PROMPT")
