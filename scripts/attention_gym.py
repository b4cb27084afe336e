"""Writes docs/attention_gym.md: FlexAttention's published examples and their `.attn` twins.

    python -m scripts.attention_gym

A test keeps the page equal to what this prints, and another compares every twin with its example.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from attndsl import library
from attndsl.syntax import ast
from attndsl.syntax.files import read_source
from attndsl.syntax.parser import parse
from examples.attention_gym.twins import Twin, caches, scores, sequences, videos
from scripts.cookbook.recipe import DOCSTRING

PAGE = Path(__file__).resolve().parents[1] / "docs" / "attention_gym.md"
HEAD = """# FlexAttention's examples as patterns

[attention-gym](https://github.com/meta-pytorch/attention-gym) is FlexAttention's collection of masks and
score modifications. Each has a twin of a few lines here: a file of
[examples/attention_gym](../examples/attention_gym), or a pattern of the library. The tables show the lines
after `space`, without requirements.

```sh
python -m examples.attention_gym.compare            # all of them, compiled for this CPU
python -m examples.attention_gym.compare flamingo   # one
```

compares each twin with FlexAttention's function, which is written out beside it: the mask with PyTorch's
`create_mask`, the output with `flex_attention`, and the gradients of queries, keys, values and learned tables
with those of the formula that FlexAttention defines, because its own backward needs a GPU. All agree up to
rounding. The masks and scores are our own words for what the collection's documentation says; at its commit
7fdb85d, its functions gave the same.
"""
CHAPTERS = {
    "Scores": scores,
    "Masks of sequences": sequences,
    "Masks over other keys": caches,
    "Masks of images and videos": videos,
}
FOOT = """## What reads differently

- FlexAttention's functions close over tensors; patterns declare them as inputs, and get them with each call.
  Where an example looks up a table of documents or images (`offsets[document_id[q]]`), its twin takes the
  value of each token.
- The order of tokens is part of a pattern's space. Tiled layouts are spaces with more axes, and need no
  decoding of indices; in the natural order the compiler finds the tiles itself.
- A mask reads one value per query or key: a tree is given as intervals of a walk through it.
- A choice made from the data is a route. The pattern says how tiles are scored and selected, and a call makes
  the choice itself or takes it as `plan=`; no block mask is built by hand.
- Where the weight is no exponential, it is written as `weight`, and there is no softmax to undo.
- A query that sees no key gets 0, so that nothing like `ROWS_GUARANTEED_SAFE` needs to be promised.

## What has no twin

- What Video Sparse Attention does beside its fine pass, and compressed sparse attention
  (`selected_attention`): programs of several attentions.
- Kimi Delta Attention and Gated DeltaNet, which do not use FlexAttention: a matrix, and no product of decays,
  changes their state in each step.
- Ring attention, export with AOTInductor, tuning, determinism and benchmarks: ways to run masks that the
  tables have. The page table of paged attention stays with the caller, who passes each key's page.

This page is made by `make docs`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, twins in CHAPTERS.items():
        parts += [f"## {title}\n", table(twins())]
    return "\n".join([*parts, FOOT])


def table(twins: Iterable[Twin]) -> str:
    """One row per twin."""
    rows = ["| FlexAttention | twin | lines | compared | remark |", "| --- | --- | --- | --- | --- |"]
    for each in twins:
        names = ", ".join(f"`{name}`" for name in each.flex.split(", "))
        code = "<br>".join(f"`{line}`" for line in lines(each))
        rows.append(f"| {names} | {link(each)} | {code} | {compared(each)} | {each.remark} |")
    return "\n".join(rows) + "\n"


def link(twin: Twin) -> str:
    """The twin's file, or its section in the cookbook."""
    if twin.path:
        return f"[{twin.path.name}](../examples/attention_gym/{twin.path.name})"
    return f"library: [{twin.name}](cookbook/README.md#{twin.name})"


def lines(twin: Twin) -> Iterator[str]:
    """The lines that make the pattern what it is: functions, inputs, lets, mask, scores, weights."""
    source = read_source(twin.path) if twin.path else library.source(twin.name)
    for definition in parse(source).definitions:
        clauses = definition.clauses if isinstance(definition, ast.Pattern) else (definition,)
        for clause in clauses:
            if clause.span is not None and not isinstance(clause, ast.Space | ast.Require):
                text = DOCSTRING.sub("", clause.span.text)
                yield from (line.strip() for line in text.splitlines())


def compared(twin: Twin) -> str:
    """What the comparison finds equal."""
    learned = [f"`{name}`" for name, x in twin.inputs.items() if x.requires_grad]
    return f"mask, output, gradients{', also of ' if learned else ''}{' and '.join(learned)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
