"""Plans in files: what is written comes back, and files or plans that do not fit are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.ir.plan import Plan, of_pairs
from attndsl.ir.route_units import route_table
from attndsl.pipeline import Bound

MOBA = attndsl.pattern("moba").bind(shape=100, heads=4, block=16, topk=2)
SLA = attndsl.pattern("sla").bind(shape=96, heads=2, bq=32, bk=16, keep=0.3, drop=0.3)
DRAFT = attndsl.pattern("draft").bind(shape=(2, 4, 8), text=5, heads=2, pool=(2, 4))
FILE = Path("plan.npz")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors then name files without the folder."""
    monkeypatch.chdir(tmp_path)


def random_plan(bound: Bound, branch: str = "", heads: int | None = None) -> Plan:
    """Some pairs of the units of a bound pattern's route."""
    ir = bound.branches[branch].ir if branch else bound.ir
    (q_units, q_block), (kv_units, kv_block) = route_table(ir, "q"), route_table(ir, "k")
    empty = np.zeros((1, 1, 1, 0), np.int32)
    like = Plan(ir.query_space.size, ir.key_space.size, q_block, kv_block, empty, empty, q_units, kv_units)
    heads = heads or ir.heads
    chosen = np.random.default_rng(0).random(heads * like.query_units * like.key_units) < 0.3
    return of_pairs(like, 1, heads, np.flatnonzero(chosen))


def same(first: Plan, second: Plan) -> bool:
    return np.array_equal(first.to_mask(), second.to_mask()) and np.array_equal(first.counts, second.counts)


@pytest.mark.parametrize("bound", [MOBA, DRAFT], ids=["moba", "draft"])
def test_a_plan_comes_back(bound: Bound) -> None:
    plan = random_plan(bound)
    bound.save_plan(plan, FILE)
    assert same(bound.load_plan(FILE), plan)


def test_plans_of_branches_come_back() -> None:
    plans = {name: random_plan(SLA, name) for name in ("critical", "marginal")}
    SLA.save_plan(plans, FILE)
    found = SLA.load_plan(str(FILE))
    assert found.keys() == plans.keys()
    assert all(same(found[name], plan) for name, plan in plans.items())


def test_other_settings_of_the_same_blocks_may_use_a_plan() -> None:
    MOBA.save_plan(random_plan(MOBA), FILE)
    attndsl.pattern("moba").bind(shape=100, heads=8, block=16, topk=5).load_plan(FILE)


def test_a_file_is_written_whole_or_not_at_all() -> None:
    with pytest.raises(AttnError, match="A0810"):
        MOBA.save_plan(random_plan(MOBA), "no/folder/plan.npz")


def written(**changes: Any) -> None:
    """A plan file with some of its arrays changed; None leaves one out."""
    MOBA.save_plan(random_plan(MOBA), FILE)
    arrays = {**np.load(FILE), **changes}
    np.savez(FILE, **{name: each for name, each in arrays.items() if each is not None})


def of_moba(**numbers: Any) -> Bound:
    """Another binding, which a plan of `MOBA` may not fit."""
    return attndsl.pattern("moba").bind(**{"shape": 100, "heads": 4, "block": 16, **numbers})


def load(bound: Bound = MOBA) -> None:
    bound.load_plan(FILE)


def load_changed(**changes: Any) -> None:
    written(**changes)
    load()


def load_lists(change: Callable[[Any], Any]) -> None:
    """A mistake in the lists of a plan."""
    load_changed(**{"/indices": change(random_plan(MOBA).indices.copy())})


def descending(lists: Any) -> Any:
    lists[0, 0, 0, :2] = 3, 1
    return lists


def load_truncated() -> None:
    written()
    FILE.write_bytes(FILE.read_bytes()[:300])
    load()


def load_text() -> None:
    FILE.write_text("{}")
    load()


def load_foreign() -> None:
    np.savez(FILE, q=np.zeros(3))
    load()


def load_saved_by(bound: Bound, loaded_by: Bound) -> None:
    bound.save_plan(random_plan(bound), FILE)
    load(loaded_by)


XATTENTION = attndsl.pattern("xattention").bind(shape=100, heads=4, block=16, stride=4)
NO_PLAN: Any = [[0]]
MISTAKES: dict[str, tuple[str, Callable[[], object]]] = {
    "route_plan_missing": ("A0801", load),
    "route_plan_truncated": ("A0850", load_truncated),
    "route_plan_text": ("A0851", load_text),
    "route_plan_foreign": ("A0851", load_foreign),
    "route_plan_without_lists": ("A0851", lambda: load_changed(**{"/indices": None})),
    "route_plan_about": ("A0851", lambda: load_changed(about=np.array("[]"))),
    "route_plan_version": ("A0852", lambda: load_changed(version=np.array(7))),
    "route_plan_pattern": ("A0853", lambda: load_saved_by(XATTENTION, MOBA)),
    "route_plan_shape": ("A0692", lambda: load_saved_by(MOBA, of_moba(shape=128))),
    "route_plan_heads": ("A0693", lambda: load_saved_by(MOBA, of_moba(heads=6))),
    "route_plan_blocks": ("A0696", lambda: load_saved_by(MOBA, of_moba(block=32))),
    "route_plan_descends": ("A0694", lambda: load_lists(descending)),
    "route_plan_of_reals": ("A0694", lambda: load_lists(lambda lists: lists.astype(np.float32))),
    "route_plan_of_three_dimensions": ("A0694", lambda: load_lists(lambda lists: lists[0])),
    "route_plan_no_plan": ("A0695", lambda: MOBA.save_plan(NO_PLAN, FILE)),
    "route_plan_one_of_two": ("A0695", lambda: SLA.save_plan(random_plan(SLA, "critical"), FILE)),
    "route_plan_unknown_branch": ("A0695", lambda: MOBA.save_plan({"far": random_plan(MOBA)}, FILE)),
    "route_plans_of_other_heads": ("A0699", lambda: random_plan(MOBA, heads=2) | random_plan(MOBA, heads=3)),
    "route_plan_without_route": ("A0690", lambda: load(attndsl.pattern("causal").bind(shape=100))),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, golden: Callable[[str, str], None]) -> None:
    code, mistake = MISTAKES[name]
    with pytest.raises(AttnError) as caught:
        mistake()
    assert caught.value.code == code
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_boxes_cut_otherwise_are_other_units() -> None:
    turned = attndsl.pattern("draft").bind(shape=(2, 4, 8), text=5, heads=2, pool=(1, 8))
    DRAFT.save_plan(random_plan(DRAFT), FILE)
    with pytest.raises(AttnError, match="A0696"):
        turned.load_plan(FILE)


def test_a_torn_array() -> None:
    written()
    data = bytearray(FILE.read_bytes())
    data[200:300] = bytes(100)
    FILE.write_bytes(data)
    with pytest.raises(AttnError, match="A0850"):
        load()


@pytest.mark.parametrize("length", [0, 1, 3, 100, 500, -1])
def test_no_part_of_a_file_is_taken_for_a_plan(length: int) -> None:
    written()
    FILE.write_bytes(FILE.read_bytes()[:length])
    with pytest.raises(AttnError, match=r"A085[01]"):
        MOBA.load_plan(FILE)
