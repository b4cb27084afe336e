"""Files of samples: both formats, all types, and what a layer is when the file leaves something out."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from attndsl.fitting.samples import open_samples
from tests.fitting.sample_data import arrays, local_attention, write


def test_both_formats_hold_the_same_layers(tmp_path: Path) -> None:
    named = arrays(layers=3)
    save_file(named, tmp_path / "samples.safetensors")
    for path in (write(tmp_path, named), tmp_path / "samples.safetensors"):
        samples = open_samples(path)
        assert samples.numbers == (0, 1, 2)
        layer = samples.layer(1)
        assert (layer.q == named["layers.1.q"]).all()
        assert (layer.k == named["layers.1.k"]).all()
        assert (layer.heads, layer.kv_heads, layer.tokens, layer.causal) == (4, 2, 64, True)


@pytest.mark.parametrize(
    "dtype", [np.float64, np.float16, ml_dtypes.bfloat16], ids=lambda each: each.__name__
)
def test_other_types_become_float32(tmp_path: Path, dtype: type) -> None:
    named = {name: each.astype(dtype) if each.ndim else each for name, each in arrays(1).items()}
    save_file(named, tmp_path / "a.safetensors")
    layer = open_samples(tmp_path / "a.safetensors").layer(0)
    assert layer.q.dtype == np.float32
    assert (layer.q == named["layers.0.q"].astype(np.float32)).all()


def test_the_scale_is_that_of_torch_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    assert open_samples(write(tmp_path, arrays(1))).layer(0).scale == 0.25
    common = arrays(1) | {"scale": np.array(0.5)}
    assert open_samples(write(tmp_path, common)).layer(0).scale == 0.5
    own = common | {"layers.0.scale": np.array([1.5], dtype=np.float16)}
    assert open_samples(write(tmp_path, own)).layer(0).scale == 1.5


def test_the_file_says_whether_the_model_is_causal_or_else_the_caller(tmp_path: Path) -> None:
    silent = write(tmp_path, arrays(1, causal=None))
    assert open_samples(silent, causal=True).layer(0).causal
    assert not open_samples(silent, causal=False).layer(0).causal
    mixed = arrays(2, causal=None) | {"layers.1.causal": np.array([1])}
    assert open_samples(write(tmp_path, mixed), causal=False).layer(1).causal


def test_queries_are_sampled_in_order_and_by_seed(tmp_path: Path) -> None:
    path = write(tmp_path, named := arrays(2))
    layer = open_samples(path, rows=10).layer(0)
    assert layer.queries.shape == (10,)
    assert (np.diff(layer.queries) > 0).all()
    assert (layer.q == named["layers.0.q"][:, :, layer.queries]).all()
    assert (open_samples(path, rows=10).layer(1).queries == layer.queries).all()
    assert (open_samples(path, rows=10, seed=1).layer(0).queries != layer.queries).any()


def test_q_may_hold_some_queries_only(tmp_path: Path) -> None:
    q, k = local_attention()
    places = np.array([1, 5, 60])
    named = {"layers.0.q": q[:, :, places], "layers.0.k": k, "queries": places, "causal": np.array(True)}
    layer = open_samples(write(tmp_path, named)).layer(0)
    assert layer.queries.tolist() == [1, 5, 60]
    assert open_samples(write(tmp_path, named), rows=2).layer(0).q.shape == (1, 4, 2, 16)


def test_the_model_may_hide_keys(tmp_path: Path) -> None:
    mask = np.ones((1, 1, 64, 64), dtype=bool)
    mask[..., 9] = False
    layer = open_samples(write(tmp_path, arrays(1) | {"layers.0.mask": mask}), rows=8).layer(0)
    assert layer.mask is not None
    assert (layer.mask == mask[:, :, layer.queries]).all()


def test_layers_are_chosen_by_number(tmp_path: Path) -> None:
    assert open_samples(write(tmp_path, arrays(4)), layers=[2, 0]).numbers == (0, 2)
