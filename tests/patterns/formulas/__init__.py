"""The formulas of the shipped patterns in plain NumPy: the independent side of the library's tests.

Each function takes the shape first and then the pattern's parameters by their names, and returns bool [N, N],
or [heads, N, N] where the heads differ. Written from the papers and repositories, not from the `.attn` texts,
and by other means where there are any: sets of keys, labels, tables, blocks blown up to tokens.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.patterns.formulas.neighborhoods import blocked, gna, neighborhood, sta
from tests.patterns.formulas.one_dimensional import (
    causal,
    dilated_window,
    document,
    full,
    global_window,
    prefix_lm,
    sliding_window,
    streaming,
)
from tests.patterns.formulas.per_head import longlora, moa, s2, sink_longlora
from tests.patterns.formulas.tables import Mask
from tests.patterns.formulas.video import (
    attention_tile,
    frame_causal,
    radial,
    svg_spatial,
    svg_temporal,
    video_infinity,
)
from tests.patterns.formulas.windows import (
    crossformer_lda,
    cswin,
    halo,
    inward_window,
    maxvit_grid,
    shifted_window,
    window,
)

FORMULAS: dict[str, Callable[..., Mask]] = {
    formula.__name__: formula
    for formula in (
        attention_tile,
        blocked,
        causal,
        crossformer_lda,
        cswin,
        dilated_window,
        document,
        frame_causal,
        full,
        global_window,
        gna,
        halo,
        inward_window,
        longlora,
        maxvit_grid,
        moa,
        neighborhood,
        prefix_lm,
        radial,
        s2,
        shifted_window,
        sink_longlora,
        sliding_window,
        sta,
        streaming,
        svg_spatial,
        svg_temporal,
        video_infinity,
        window,
    )
}
"""The formula of each pattern, by the pattern's name."""

__all__ = ["FORMULAS", "Mask"]
