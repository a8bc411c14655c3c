"""Names, entry points of third parties, and what is missing."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from cxr_rewards.components.bleu import Bleu
from cxr_rewards.core.registry import component_names, load_component, missing_modules, pip_line, require
from cxr_rewards.errors import ConfigError, MissingDependencyError


def test_every_known_name_leads_to_a_component_of_that_name():
    assert "findings_f1" in component_names()
    for name in component_names():
        assert load_component(name).name == name


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        ConfigError, match="rewards.toml: unknown component 'rouge_1'; known: .* Did you mean 'rouge_l'"
    ):
        load_component("rouge_1", "rewards.toml")


def test_a_missing_package_is_named_with_its_pip_line():
    class NeedsMore(Bleu):
        name = "needs_more"
        requires = ("no_such_package_at_all", "json")
        extra = "models"

    assert missing_modules(NeedsMore) == ["no_such_package_at_all"]
    assert pip_line(NeedsMore) == 'pip install "cxr_rewards[models]"'
    with pytest.raises(MissingDependencyError, match=r'needs_more: needs no_such_package_at_all: pip install "cxr_rew'):
        require(NeedsMore)


def third_party(folder, name, entry, body):
    """Write an installed distribution, as pip would leave it, into a folder."""
    (folder / f"{name}.py").write_text(textwrap.dedent(body))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cxr_rewards.components]\n{entry}\n")


WORDS = """
    from cxr_rewards import Component, Score

    class Words(Component):
        \"\"\"Share of the reference's words that the candidate holds.\"\"\"
        name = "words"
        summary = "shared words"

        def score_case(self, case, features):
            words = set(case.reference.lower().split())
            return Score(len(words & set(case.candidate.lower().split())) / len(words))
"""


def run(folder, code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_installed_package_adds_a_component_by_entry_point(tmp_path):
    third_party(tmp_path, "third", "words = third:Words", WORDS)
    out = run(
        tmp_path,
        """
        from cxr_rewards import CompositeReward
        from cxr_rewards.testing import check_component
        import third
        check_component(third.Words())
        print(CompositeReward(["words"]).score("clear lungs", "clear lungs").value)
        """,
    )
    assert out == "1.0"


def test_a_module_that_fails_is_answered_with_its_error(tmp_path):
    third_party(tmp_path, "third", "words = third:Words", "raise RuntimeError('broken')")
    out = run(
        tmp_path,
        """
        from cxr_rewards.errors import ConfigError
        from cxr_rewards.core.registry import load_component
        try:
            load_component("words")
        except ConfigError as error:
            print(error)
        """,
    )
    assert out == "registry: component 'words' (third:Words) cannot be imported: RuntimeError: broken"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("bleu = third:Words", "component 'bleu' is declared by cxr_rewards and by third; rename or uninstall"),
        ("word = third:Words", "component 'word': third:Words calls itself 'words'; the two must be equal"),
        ("words = third:Word", "component 'words': third:Word does not exist"),
        ("words = third:Score", "component 'words': third:Score is not a subclass of cxr_rewards.Component"),
        ("words = absent:Words", "component 'words' (absent:Words) cannot be imported: No module named 'absent'"),
    ],
)
def test_a_wrong_entry_point_is_answered_with_its_place(tmp_path, entry, message):
    third_party(tmp_path, "third", entry, WORDS)
    name = entry.split()[0]
    out = run(
        tmp_path,
        f"""
        from cxr_rewards.errors import SetupError
        from cxr_rewards.core.registry import load_component
        try:
            load_component({name!r})
        except SetupError as error:
            print(error)
        """,
    )
    assert message in out
