"""Section: what made the scores, and which weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cxr_rewards.evaluation.report.blocks import Block, Cell, Column, Group, Paragraph, Section, Table
from cxr_rewards.evaluation.report.systems import Systems
from cxr_rewards.files.provenance import Provenance, read_provenance
from cxr_rewards.models.published import SHA256

_WEIGHTS = re.compile("#([0-9a-f]{12})(?![0-9a-f])")
_PUBLISHED = {
    "chexbert_embedding": "chexbert.pth",
    "chexbert_labels": "chexbert.pth",
    "rate_entities": "RaTE-NER-Deberta",
    "rate_embeddings": "BioLORD-2023-C",
}
"""Key of `SHA256` by feature; RadGraph's follows from its setting `model`."""


def origin(systems: Systems) -> Section:
    """Return which files, rewards and weights the scores come from."""
    made = {
        name: record
        for name, system in zip(systems.names, systems.joined.systems, strict=True)
        if (record := read_provenance(system.path)) is not None
    }
    rows: list[tuple[Cell, ...]] = []
    for name, system in zip(systems.names, systems.joined.systems, strict=True):
        record = made.get(name)
        told = ("not told", "", "", "", "") if record is None else _run(record)
        rows.append((name, system.path.name, f"{len(system.ids):,}", *told))
    heads = ("system", "file", "rows", "reward", "scored from", "columns", "version", "date")
    table = Table(
        caption="Files",
        columns=tuple(Column(head, "number" if head == "rows" else "text") for head in heads),
        groups=(Group(rows=tuple(rows)),),
    )
    signatures = list(_signatures({name.text: record for name, record in made.items()}))
    blocks: list[Block] = [table, *signatures]
    if not made:
        blocks.append(Paragraph("No file says what made it: there are no signatures and no checksums to show."))
    return Section(anchor="origin", title="What made the scores", blocks=tuple(blocks))


def _run(record: Provenance) -> tuple[str, ...]:
    columns, reward = record["columns"], record["reward"]
    used = ", ".join([columns["candidate"], *columns["reference"], *columns["priors"]])
    shown = f"{reward['name']} #{reward['signature'].rpartition('#')[2]}"
    return shown, record["input"], used, record["version"], record["date"]


def _signatures(made: Mapping[str, Provenance]) -> Iterator[Table]:
    rows: dict[tuple[str, ...], list[str]] = {}
    weights: dict[tuple[str, ...], list[str]] = {}
    for name, record in made.items():
        for label, component in record["components"].items():
            signature = component["signature"]
            rows.setdefault((label, f"{component['weight']:g}", signature), []).append(name)
            for feature, fingerprint in weights_in(signature):
                weights.setdefault((feature.partition("/")[0], fingerprint, published(feature)), []).append(name)
    if rows:
        yield _listed("Signatures of the components", ("component", "weight", "signature"), rows, len(made))
    if weights:
        yield _listed(
            "Weights of the models",
            ("feature", "fingerprint", "published SHA-256"),
            weights,
            len(made),
            note="The fingerprint is that of the weights in use, from the signature. Files whose SHA-256 is not the "
            "published one are refused, unless accept_other_weights was set.",
        )


def _listed(
    caption: str, heads: tuple[str, ...], rows: Mapping[tuple[str, ...], list[str]], systems: int, note: str = ""
) -> Table:
    everywhere = all(len(set(names)) == systems for names in rows.values())
    return Table(
        caption=caption,
        columns=tuple(Column(head, "text") for head in (*heads, *(() if everywhere else ("system",)))),
        groups=(
            Group(
                rows=tuple(
                    (*row, *(() if everywhere else (", ".join(dict.fromkeys(names)),))) for row, names in rows.items()
                )
            ),
        ),
        note=note,
    )


def weights_in(signature: str) -> list[tuple[str, str]]:
    """Return the features in a signature that have weights, each with its settings and its fingerprint.

    Example:
        >>> weights_in('a/1?x=2(b/1?model="m"(c/1)#0123456789ab,d/1#dabc1b17)')
        [('b/1?model="m"', '0123456789ab')]
    """
    found = []
    for match in _WEIGHTS.finditer(signature):
        at = match.start()
        if signature[at - 1 : at] == ")":  # skip what it needs
            depth = 0
            while at:
                at -= 1
                depth += {")": 1, "(": -1}.get(signature[at], 0)
                if not depth:
                    break
        name = re.split(r"[(),\s*]", signature[:at])[-1]
        if name:
            found.append((name, match[1]))
    return found


def published(feature: str) -> str:
    """Return the SHA-256 of the published weights of a feature, given with its settings; `not known` if it is not."""
    model = re.search(r'model="([^"]+)"', feature)
    key = f"{model[1]}.tar.gz" if model else _PUBLISHED.get(feature.partition("/")[0], "")
    return SHA256.get(key, "not known")
