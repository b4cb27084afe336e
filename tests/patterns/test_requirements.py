"""Numbers that a shipped pattern cannot take: each is refused by the pattern's own requirement."""

from __future__ import annotations

from typing import Any

import pytest

import attndsl


@pytest.mark.parametrize(
    ("name", "numbers", "message"),
    [
        ("streaming", {"shape": 8, "sink": -1, "window": 2}, "sink must be 0 or more"),
        ("streaming", {"shape": 8, "sink": 1, "window": -2}, "window must be 0 or more"),
        ("prefix_lm", {"shape": 8, "prefix": -1}, "prefix must be 0 or more"),
        ("dilated_window", {"shape": 8, "left": 1, "dilation": 0}, "dilation must be at least 1"),
        ("gna", {"shape": (8, 8), "window": (4, 9)}, r"window \* dilation must fit into the axis"),
        ("gna", {"shape": (8, 8), "window": 4, "stride": (1, 5)}, "stride must be between 1 and window"),
        ("sta", {"shape": 12, "tile": 2, "window": 4}, "window must be 1, 3, 5, ... tiles"),
        ("sta", {"shape": 12, "tile": 0, "window": 4}, "tile must be at least 1"),
        ("blocked", {"shape": 12, "window": 0}, "window must be at least 1"),
        ("halo", {"shape": (8, 8), "block": 0, "halo": 1}, "block must be at least 1"),
        ("halo", {"shape": (8, 8), "block": 4, "halo": -1}, "halo must be 0 or more"),
        ("window", {"shape": (8, 8), "window": 0}, "the block length must be at least 1"),
        ("shifted_window", {"shape": (8, 8), "window": 4, "shift": 5}, "shift must be between 0 and window"),
        ("cswin", {"shape": (8, 8), "heads": 3, "stripe": 2}, "heads must be even"),
        ("maxvit_grid", {"shape": (8, 9), "grid": 4}, "grid must divide both sides of the image"),
        ("maxvit_grid", {"shape": (8, 8), "grid": 0}, "grid must be at least 1"),
        ("inward_window", {"shape": (1, 8, 8), "dh": 4, "dw": 1}, r"2 \* dh \+ 1 rows must fit"),
        ("inward_window", {"shape": (1, 8, 8), "dh": 1, "dw": 4}, r"2 \* dw \+ 1 columns must fit"),
        ("radial", {"shape": (2, 130)}, "block must divide the number of tokens per frame"),
        ("radial", {"shape": (2, 128), "block": 0}, "block must be at least 1"),
        ("moa", {"shape": 64, "heads": 1, "alpha": 1, "beta": 1, "sink": -1}, "sink must be 0 or more"),
        ("s2", {"shape": 64, "heads": 2, "stride": 0}, "stride must be at least 1"),
        ("s2", {"shape": 64, "heads": 2, "causal": False, "dense_heads": 1}, "dense heads are causal"),
        ("longlora", {"shape": 64, "heads": 3}, "heads must be even"),
        ("longlora", {"shape": 66, "heads": 2}, r"the group, n \* ratio, must divide n"),
        ("sink_longlora", {"shape": 64, "ratio": 0.0, "sink": 2}, "must be at least one token"),
        ("sink_longlora", {"shape": 64, "ratio": 0.3, "sink": 2}, r"the group, n \* ratio, must divide n"),
        ("frame_causal", {"shape": (4, 4), "chunk": 0}, "chunk must be at least 1"),
        ("frame_causal", {"shape": (4, 4), "window": -1}, "window must be 0 or more"),
        ("video_infinity", {"shape": 8, "key_shape": 11, "pad": 2}, "there must be a key for each frame"),
        ("svg_spatial", {"shape": (4, 4), "block": 0}, "block must be at least 1"),
        ("svg_temporal", {"shape": (4, 4), "block": 0}, "block must be at least 1"),
        ("attention_tile", {"shape": (4, 4), "reference": 0}, "the period of a stripe must be at least 1"),
    ],
)
def test_a_number_that_cannot_be_right_is_refused(name: str, numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(attndsl.AttnBindError, match=message) as caught:
        attndsl.pattern(name).bind(**numbers)
    assert caught.value.code == "A0410"
