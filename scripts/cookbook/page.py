"""The page of the cookbook as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attndsl.ir.headline import box
from attndsl.simulate.text import times
from scripts.cookbook.recipe import Recipe
from scripts.cookbook.setting import DEVICE, Setting

CHAPTERS = {
    "any": ("Any number of axes", "The same lines serve texts, images and videos."),
    "tokens": ("Sequences", "One axis of tokens, as in language models."),
    "image": ("Images", "Two axes."),
    "video": ("Videos", "Frames of tokens, or three axes; some with a text beside them."),
    "other": ("Other spaces", "Queries and keys in spaces of their own."),
}
HEAD = f"""# Attention cookbook

Every pattern of the library: what it means, its picture, its lines of `.attn`, the settings that were
published, and what attndsl predicts for them before anything runs. Use one by its name, as in
`attndsl.pattern("gna")`, or copy its lines into a file of your own.

How to read the figures:

- *density* is the share of all pairs of a query and a key that are visible, a mean over the heads. FLOPs fall
  by its inverse.
- *worst* is the tile speedup over dense attention by the q tile that visits the most kv tiles, *mean* the one
  by all visited tiles. They hold for tiles of the size that kernels use on a {DEVICE.upper()}, in the shapes
  that the compiler chooses, and count work: no time was measured for this page.
- A hyphen stands where there is nothing to predict; the reason is below the table.
- Where weights are linear, the algorithm is named below the table, and how its time compares with tiles: see
  [predictions](../simulator.md#linear-weights). The other figures are those of tiles.

How to read the pictures: they show the setting `small` of each pattern, with small tiles, because published
settings have too many tokens to draw every pair. On the left the mask, then the tiles that a kernel visits,
and for spaces of two and three axes what one query sees. Where heads differ, the first and the last one are
drawn. Scores, weights and gates change what visible pairs count for, not which tiles are visited: where a
score depends on positions alone, a panel shows it; figures are those of the mask.
"""
FOOT = "This page is made from the library by `make docs`.\n"


def page(recipes: Sequence[Recipe]) -> str:
    """The whole page."""
    chapters = {chapter: [each for each in recipes if each.chapter == chapter] for chapter in CHAPTERS}
    everything = [each for found in chapters.values() for each in found]
    parts = [HEAD, "## All patterns\n", overview(everything)]
    for chapter, found in chapters.items():
        if found:
            title, meaning = CHAPTERS[chapter]
            parts += [f"## {title}\n", f"{meaning}\n", *map(section, found)]
    return "\n".join([*parts, FOOT])


def overview(recipes: Sequence[Recipe]) -> str:
    """One row per pattern, with the figures of its largest setting."""
    heads = ("pattern", "what it is", "clauses", "setting", "tokens", "density", "worst", "mean")
    rows = [
        (
            f"[{each.name}](#{each.name})",
            each.title,
            each.clauses,
            f"`{each.largest.name}`",
            *figures(each.largest),
        )
        for each in recipes
    ]
    return table(heads, rows, numbers=4)


def section(recipe: Recipe) -> str:
    """A pattern's part of the page."""
    drawn = f"![{recipe.name}: mask, tiles and what a query sees](images/{recipe.name}.png)"
    parts = [
        f"### {recipe.name}",
        recipe.title,
        recipe.meaning,
        drawn if recipe.undrawn is None else f"No picture: {recipe.undrawn}.",
        f"```attn\n{recipe.lines}```",
        settings(recipe),
        *remarks(recipe),
        f"```sh\n{recipe.largest.command}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def settings(recipe: Recipe) -> str:
    """The settings with their figures."""
    heads = ("setting", "numbers", "tiles (q, kv)", "tokens", "density", "worst", "mean")
    rows = [(f"`{each.name}`", f"`{each.words}`", tiles(each), *figures(each)) for each in recipe.settings]
    return table(heads, rows, numbers=4).rstrip("\n")


def figures(setting: Setting) -> tuple[str, str, str, str]:
    """Tokens, density and the two speedups; hyphens where there is no prediction."""
    report = setting.report
    if report is None:
        return f"{setting.tokens:,}", "-", "-", "-"
    speedups = times(report.tile_speedup), times(report.tile_speedup_mean)
    return f"{setting.tokens:,}", f"{report.density:.2%}", *speedups


def tiles(setting: Setting) -> str:
    """The boxes of tokens, queries first."""
    report = setting.report
    if report is None:
        return "-"
    if not report.q_tile:
        return "of each branch"
    return f"{box(report.q_tile, report.q_step)}, {box(report.kv_tile, report.kv_step)}"


def remarks(recipe: Recipe) -> Iterator[str]:
    """What must be known to read the figures: one list, if there is anything."""
    lines = [f"- `{each.name}`: {remark}." for each in recipe.settings for remark in each.remarks]
    if lines:
        yield "\n".join(lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """A Markdown table; its last columns, so many as `numbers`, are aligned to the right."""
    rule = ["---"] * (len(heads) - numbers) + ["---:"] * numbers
    return "".join(f"| {' | '.join(row)} |\n" for row in (heads, rule, *rows))
