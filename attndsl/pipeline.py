"""The whole compiler on one page.

    text --parse--> syntax tree --resolve--> pattern IR --bind--> bound IR
         --build--> schedule (block map) --compile--> kernel, or --simulate--> report

`Pattern` is a pattern without numbers, `Bound` one with numbers; everything a user calls is a method of
these two. What torch and kernels ask of a bound pattern is in `attndsl/bound_target.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attndsl import library
from attndsl.bound_target import BoundTarget, kernel_key
from attndsl.diagnostics import AttnBindError, AttnNameError
from attndsl.files import write_file
from attndsl.ir.bound import algorithm_of, by_tiles
from attndsl.ir.evaluate import check_inputs, whole_mask
from attndsl.ir.expr import Head
from attndsl.ir.group_plans import both_plans, pairs_in_groups
from attndsl.ir.headline import bound_headline
from attndsl.ir.pattern import PatternIR
from attndsl.ir.pattern_text import pattern_text, signature
from attndsl.passes.bind import bind
from attndsl.passes.branch_spaces import refuse_channels, refuse_schedule, union
from attndsl.source import Source
from attndsl.syntax.files import read_source

if TYPE_CHECKING:
    import torch

    from attndsl.ir.plan import Plan
    from attndsl.runtime.any_length import AnyLength, LastRows
    from attndsl.runtime.compiled import CompiledAttention
    from attndsl.schedule.schedule import Schedule
    from attndsl.show.picture import Picture
    from attndsl.simulate.branches import BranchesExplanation
    from attndsl.simulate.explain import Explanation
    from attndsl.simulate.report import Report

Extents = int | Sequence[int]


def patterns() -> list[str]:
    """Names of the shipped patterns, sorted."""
    return library.names()


def pattern(name: str) -> Pattern:
    """A shipped pattern. Raises AttnFileError A0811 for an unknown name."""
    return Pattern(library.load(name))


def load(path: str | Path) -> Any:
    """The Pattern of a `.attn` file; a namespace with one attribute per Pattern if the file has several."""
    return _patterns_of(read_source(path))


def parse(text: str, name: str = "<text>") -> Any:
    """The pattern (or namespace of patterns) that the text defines. name: what errors call the text."""
    return _patterns_of(Source(name, text))


def _patterns_of(source: Source) -> Any:
    found = library.resolve_source(source)
    if not found:
        raise AttnNameError("A0216", f"`{source.name}` defines no pattern", help="add `pattern name: ...`")
    if len(found) == 1:
        return Pattern(found[0])
    return SimpleNamespace(**{each.name: Pattern(each) for each in found})


@dataclass(frozen=True, repr=False)
class Pattern:
    """A pattern without numbers; `bind` gives it its numbers. `ir` is the pattern IR."""

    ir: PatternIR

    def __repr__(self) -> str:
        return f"Pattern({signature(self.ir)})"

    @property
    def name(self) -> str:
        """The name in the text."""
        return self.ir.name

    @property
    def documentation(self) -> str:
        """The docstring."""
        return self.ir.documentation

    @property
    def depends_on_heads(self) -> bool:
        """Whether heads may see different keys, so that bind must be told how many there are."""
        return self.ir.depends_on_heads

    def bind(
        self,
        shape: Extents | None = None,
        heads: int | None = None,
        kv_heads: int | None = None,
        key_shape: Extents | None = None,
        **values: Any,
    ) -> Bound:
        """The pattern with all its numbers.

        shape: extents of the main space, in tokens per axis, in order. heads, kv_heads: query and key/value
        heads (kv_heads defaults to heads; heads may be left out where the mask is the same for every head,
        the bound pattern then takes tensors with any number of heads). key_shape: extents of the key space,
        for patterns that declare one. values: parameters by name, and extents of further segments by the
        segment's name (default 0). Raises AttnBindError (A04xx) for numbers that do not fit.
        """
        if heads is None and self.depends_on_heads:
            raise AttnBindError("A0407", f"pattern `{self.name}` depends on the heads", help="pass heads=")
        fixed = heads if heads is not None else kv_heads if kv_heads is not None else 1
        ir = bind(self.ir, shape, fixed, kv_heads, key_shape, values)
        return Bound(ir, any_heads=heads is None and kv_heads is None)

    def at_any_length(
        self, heads: int | None = None, kv_heads: int | None = None, **values: Any
    ) -> AnyLength:
        """The pattern with all its numbers but the shape: a callable that follows the length of its tensors.

        heads, kv_heads, values: as for `bind`, which is called once per length. The length is that of q's
        tokens, less those of further segments; a space of several axes is given as `shape=` in each call.
        """
        from attndsl.runtime.any_length import AnyLength

        def bind_to(shape: tuple[int, ...], queries: int, keys: int) -> Bound:
            others = sum(int(values.get(segment.name, 0)) for segment in self.ir.query_space[1:])
            key_shape = keys if self.ir.cross else None
            return self.bind(shape or queries - others, heads, kv_heads, key_shape, **values)

        def rows() -> LastRows:
            return self.rows_at_any_length(heads, kv_heads, **values)

        parts = pattern_text(self.ir), heads, kv_heads, sorted(values.items())
        return AnyLength(self.ir, bind_to, rows, *parts)

    def rows_at_any_length(
        self, heads: int | None = None, kv_heads: int | None = None, **values: Any
    ) -> LastRows:
        """The last rows of the pattern at any length: a callable for generation from a cache.

        It takes the last queries and all keys; the length is the number of keys. Nothing is compiled from
        length to length. heads, kv_heads, values: as for `bind`. Raises AttnBindError A0416 for patterns of
        more than one axis, whose length is no single number, and AttnUnsupportedError A0905 as `Bound.rows`.
        """
        from attndsl.last_rows import rows_of_pattern

        return rows_of_pattern(self, heads, kv_heads, values)


@dataclass(frozen=True, repr=False)
class Bound(BoundTarget):
    """A pattern with all its numbers: look at its mask, schedule and prediction, or call it on tensors."""

    _schedules: dict[object, Schedule] = field(default_factory=dict, repr=False, compare=False)
    branches: Mapping[str, Bound] = field(init=False, repr=False, compare=False)
    """The branches by name; each is a pattern of its own. Empty for patterns without branches."""

    def __post_init__(self) -> None:
        super().__post_init__()
        branches = {each.branch: Bound(each, self.any_heads) for each in self.ir.branches}
        object.__setattr__(self, "branches", branches)

    def __repr__(self) -> str:
        return f"Bound({bound_headline(self.ir, self.any_heads)})"

    @property
    def name(self) -> str:
        """The pattern's name with its parameters, such as `gna_w18x24x24_s16x8x8`."""
        return self.ir.name

    def mask(self, plan: Any = None, **inputs: Any) -> NDArray[np.bool_]:
        """The mask, bool [heads or 1, Nq, Nk], by direct evaluation. inputs: arrays [tokens] by name.

        plan: of a pattern with a route, for one element of a batch; without it the mask holds all that the
        route may choose from. With the plans of groups it holds the pairs that meet in one. Of a pattern of
        branches it is the union of their masks. Raises AttnBindError A0408 above 2**28 entries, A0431 where
        tokens are channels or made of others.
        """
        refuse_channels(self.ir)
        if self.branches:
            return self.joined.mask(**inputs)
        heads = self.ir.heads if self.per_head else 1
        mask = whole_mask(self.ir, heads, check_inputs(self.ir, inputs))
        if plan is not None and self.ir.groups:
            listed: NDArray[np.bool_] = pairs_in_groups(both_plans(self.ir, plan), self.ir.heads)[0]
            return mask & listed
        return mask if plan is None else mask & plan.of_heads(self.ir.heads)[0]

    @property
    def joined(self) -> Bound:
        """The mask of all branches as a pattern of its own; itself where there are none.

        Raises AttnBindError A0431 where branches are over other tokens.
        """
        return Bound(union(self.ir)) if self.branches else self

    @cached_property
    def per_head(self) -> bool:
        """Whether heads may have different masks."""
        return any(Head() in region.visible.leaves for region in self.ir.regions)

    def schedule(self, q_tile: Extents | None = None, kv_tile: Extents | None = None) -> Schedule:
        """The block map; q_tile, kv_tile: tokens per axis, chosen by predicted cost if left out."""
        refuse_schedule(self.ir)
        key = (_frozen(q_tile), _frozen(kv_tile))
        if key not in self._schedules:
            from attndsl.schedule.build import build

            self._schedules[key] = build(self.ir, q_tile=q_tile, kv_tile=kv_tile)
        return self._schedules[key]

    def reference(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        scale: float | None = None,
        return_lse: bool = False,
        plan: Plan | Mapping[str, Plan] | None = None,
        **inputs: torch.Tensor,
    ) -> Any:
        """The denotation in torch: float64 inside, differentiable, any device. Shapes as for `__call__`."""
        from attndsl.runtime.reference import reference

        ir = self.for_tensors(q, k).ir
        return reference(ir, q, k, v, scale=scale, return_lse=return_lse, plan=plan, **inputs)

    def plan(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor | None = None,
        scale: float | None = None,
        **inputs: torch.Tensor,
    ) -> Any:
        """What the route selects on these tensors: a Plan; of a pattern with branches a dict of them by name.

        Scores are computed in float32 (float64 for float64 tensors), without gradients. v: needed where the
        route reads values. inputs: those that the route reads; others are ignored. Raises AttnCallError A0690
        for a pattern without a route, A0691 for values that are missing, A06xx for tensors that do not fit.
        """
        from attndsl.runtime.plans_in_graphs import plans_of_call

        ir = self.for_tensors(q, k).ir
        plans = plans_of_call(self, ir, q, k, v, scale, inputs)
        return plans[""] if "" in plans else dict(plans)

    def save_plan(self, plan: Plan | Mapping[str, Plan], path: str | Path) -> None:
        """Write what `plan` returned to a file (npz), for `load_plan` of a pattern of the same name.

        Raises AttnCallError A0690 to A0695 for plans that do not fit, AttnFileError A0810.
        """
        from attndsl.ir.plan_file import plan_bytes

        write_file(Path(path), plan_bytes(self.ir, plan, None if self.any_heads else self.ir.heads))

    def load_plan(self, path: str | Path) -> Any:
        """The plan in a file: a Plan; of a pattern with branches a dict of them by name.

        Raises AttnFileError A0801 and A0850 to A0853 for files that hold no plan of this pattern,
        AttnCallError A0690, and A0692 to A0696 for plans of other shapes, heads or sizes of blocks.
        """
        from attndsl.ir.plan_file import read_plans

        plans = read_plans(self.ir, Path(path), None if self.any_heads else self.ir.heads)
        return plans.get("", plans)

    def __call__(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        scale: float | None = None,
        return_lse: bool = False,
        initial_state: torch.Tensor | None = None,
        return_state: bool = False,
        plan: Plan | Mapping[str, Plan] | None = None,
        **inputs: torch.Tensor,
    ) -> Any:
        """Attention of every query over the keys that the pattern lets it see.

        q: [batch, heads, Nq, D]; k: [batch, kv_heads, Nk, D]; v: [batch, kv_heads, Nk, Dv]. Returns the
        output [batch, heads, Nq, Dv] in q's type, and with return_lse also the natural log-sum-exp, float32
        [batch, heads, Nq]. scale defaults to the pattern's, else D**-0.5. inputs: declared inputs, [tokens]
        or [batch, tokens]. Recurrences take the state before the first token and return that after the last
        one, float32 [batch, heads, D, Dv], or [batch, heads, D, Dv + 1] where weights are divided by their
        sum. plan: of a pattern with a route, as `plan` returns it, selected from the tensors by default;
        selection is not differentiated. The backend follows the tensors' device; a kernel is compiled once
        per type and head size. Raises AttnCallError (A06xx) for tensors that do not fit.
        """
        from attndsl.runtime.attend import attend
        from attndsl.runtime.stateful import attend_with_state

        if initial_state is None and not return_state:
            return attend(self, q, k, v, scale, return_lse, inputs, plan=plan)
        ir = self.for_tensors(q, k).ir
        return attend_with_state(ir, q, k, v, scale, return_lse, initial_state, return_state, inputs)

    def step(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        state: torch.Tensor | None = None,
        scale: float | None = None,
        **inputs: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One more token of a recurrence, in constant time and memory: its output and the new state.

        q: [batch, heads, 1, D]; k: [batch, kv_heads, 1, D]; v: [batch, kv_heads, 1, Dv]. state: as returned
        by an earlier step or by a call with return_state; None at the first token of a text. inputs: those
        that decays and gates read, for this token, as [batch, heads, 1]. Raises AttnCallError (A06xx).
        """
        from attndsl.runtime.stateful import step

        return step(self.for_tensors(q, k).ir, q, k, v, scale, state, inputs)

    @property
    def algorithm(self) -> str:
        """What computes it: 'recurrence' or 'sums' in linear time, or 'tiles', pair by pair of tokens.

        The sums of a route are those of the blocks that it lists, and grow with pairs of blocks.
        'products' are of matrices, where channels attend to one another. Branches are joined: 'sums + tiles'.
        """
        return algorithm_of(self.ir)

    def using(self, algorithm: str) -> Bound:
        """The same pattern by 'tiles', although its weights are linear. Raises AttnBindError A0421."""
        if algorithm == "tiles":
            return replace(self, ir=by_tiles(self.ir), _schedules={}, _kernels={})
        if algorithm == self.algorithm:
            return self
        raise AttnBindError(
            "A0421", f"`{self.name}` cannot be computed by {algorithm!r}",
            help=f"it can by {self.algorithm!r}",
        )  # fmt: skip

    @cached_property
    def rows(self) -> LastRows:
        """The pattern's last rows, as many as there are queries: `bound.rows(q, k, v)`.

        q holds the last tokens only, k and v all of them. Inputs are those of all tokens; gates, sinks and
        combinations take those of the last queries as well. Raises AttnUnsupportedError A0905 where a row is
        decided by more than its own query.
        """
        from attndsl.last_rows import rows_of_bound

        return rows_of_bound(self)

    def branch(self, name: str, q: torch.Tensor, k: torch.Tensor, shape: Sequence[int] = ()) -> Bound:
        """See `Target`."""
        return self.branches[name]

    def compile(
        self,
        backend: str = "auto",
        *,
        head_dim: int,
        dtype: Any = None,
        value_dim: int | None = None,
        device: str = "cpu",
    ) -> CompiledAttention:
        """A callable for one head size and type. backend: 'cpu' (C++), 'reference' (torch), or 'auto'.

        dtype: a torch dtype or its name, default float32. device: where the tensors will be, for 'auto'.
        Raises AttnBackendError (A07xx) where the backend cannot do it.
        """
        from attndsl.runtime.compile import compile_attention

        sizes = {"head_dim": head_dim, "value_dim": head_dim if value_dim is None else value_dim}
        return compile_attention(self.ir, self.schedule, backend=backend, dtype=dtype, device=device, **sizes)

    def autotune(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        report: Callable[[str], None] = print,
        **inputs: torch.Tensor,
    ) -> dict[str, Any]:
        """Time candidate Triton kernels on these tensors, which lie on a GPU as in `__call__`.

        The fastest of each kernel (forward, dq, dk_dv) is kept in the cache folder, and taken by every
        process from then on. report: is told about each candidate, one line of text. Returns what won.
        Raises AttnBackendError (A07xx) where Triton kernels cannot be had.
        """
        from attndsl.runtime.triton_autotune import autotune_bound

        won = autotune_bound(self.for_tensors(q, k).ir, q, k, v, inputs, report)
        self._kernels.pop(kernel_key(q, k, v), None)
        return {str(direction): chosen for direction, chosen in won.items()}

    def simulate(
        self,
        device: str = "b200",
        q_tile: Extents | None = None,
        kv_tile: Extents | None = None,
        attention_share: float | None = None,
        head_dim: int = 128,
        batch: int = 1,
        plan: Plan | Mapping[str, Plan] | None = None,
        draws: int = 20,
        seed: int = 0,
        skew: float = 1.0,
        locality: float = 4.0,
        kept: float = 0.25,
    ) -> Report:
        """Predicted density, tile and end-to-end speedup; nothing is run.

        attention_share: the fraction of the model's time that dense attention takes, for the end-to-end
        figures. head_dim, batch: for the predicted times of patterns with linear weights or routes. A pattern
        of branches has a report for each of them, and their sum. plan: of a pattern with a route; without it
        random plans are drawn, and figures are their means. draws, seed, skew, locality, kept: of these
        plans, see `attndsl.simulate.plan_draws.Distribution`; the same seed gives the same figures.
        Raises AttnScheduleError (A05xx), AttnCallError A0690 to A0696 for plans that do not fit.
        """
        from attndsl.simulate.branches import simulate_branches
        from attndsl.simulate.plan_draws import Distribution
        from attndsl.simulate.report import simulate

        predict: Callable[..., Report] = simulate_branches if self.branches else simulate
        return predict(
            self.for_plan(plan).ir,
            device=device,
            q_tile=q_tile,
            kv_tile=kv_tile,
            attention_share=attention_share,
            head_dim=head_dim,
            batch=batch,
            plan=plan,
            distribution=Distribution(draws, seed, skew, locality, kept),
        )

    def explain(
        self,
        device: str = "b200",
        q_tile: Extents | None = None,
        kv_tile: Extents | None = None,
        head_dim: int = 128,
    ) -> Explanation | BranchesExplanation:
        """Where the cost comes from: formulas, the clauses behind partial tiles, and what would avoid them.

        Nothing is run. Printed, it is what `attndsl explain` says. Raises AttnScheduleError (A05xx).
        """
        from attndsl.simulate.branches import explain_branches
        from attndsl.simulate.explain import explain

        find: Any = explain_branches if self.branches else explain
        found: Explanation | BranchesExplanation = find(
            self.ir, device=device, q_tile=q_tile, kv_tile=kv_tile, head_dim=head_dim
        )
        return found

    def show(
        self,
        query: Sequence[int] | None = None,
        head: int = 0,
        q_tile: Extents | None = None,
        kv_tile: Extents | None = None,
        plan: Plan | Mapping[str, Plan] | None = None,
        **inputs: Any,
    ) -> Picture:
        """The picture of mask, tiles and the keys of one query; notebooks show it, `.save(path)` writes it.

        query: its coordinates, in spaces of two and three axes; the middle by default. head: the one that is
        drawn, where heads differ. inputs: those that the mask reads, arrays [tokens]. plan: what some heads
        of it list, beside the static mask, instead of tiles. Of branches it is what any of them lets see;
        `.branches[name].show()` draws one. Raises AttnScheduleError (A05xx), AttnCallError (A06xx).
        """
        from attndsl.show.picture import picture_of_plan, picture_of_schedule

        if plan is not None:
            return picture_of_plan(self.for_plan(plan).ir, plan, head)
        return picture_of_schedule(self.joined.schedule(q_tile, kv_tile), query, head, inputs)


def _frozen(extents: Extents | None) -> object:
    return tuple(extents) if isinstance(extents, Sequence) else extents


__all__ = ["Bound", "Pattern", "load", "parse", "pattern", "patterns"]
