"""`attndsl.capture`: a model runs, and the queries and keys of its attention become a file of samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from attndsl.diagnostics import AttnBackendError, AttnCallError, AttnFileError
from attndsl.fitting.sample_file import check_count, check_suffix, require_safetensors

if TYPE_CHECKING:
    import torch

    from attndsl.runtime.record_attention import Recorder


@contextmanager
def capture(
    model: torch.nn.Module,
    path: str | Path,
    *,
    sequences: int = 1,
    queries: int = 256,
    max_bytes: int = 2**30,
    seed: int = 0,
) -> Iterator[Recorder]:
    """Record q and k of a model's self-attention while the block runs, and write them at its end.

    Layers are numbered in the order in which a forward pass of `model` calls torch's
    scaled_dot_product_attention. path: a .safetensors or .npz file. sequences: entries of the batch that are
    kept, of the first forward passes. queries: rows of q that are kept of each, drawn at random by `seed`; of
    k all rows are kept. Calls with more keys than queries (cross-attention, decoding with a cache) are passed
    over.

    Raises AttnCallError (A0636 to A0642) for calls that cannot be recorded, where there was none, and above
    max_bytes; AttnFileError A0810 where the file cannot be written.
    After an exception in the block nothing is written.
    """
    for name, number in (("sequences", sequences), ("queries", queries), ("max_bytes", max_bytes)):
        check_count(name, number)
    check_count("seed", seed, least=0)
    target = Path(path)
    if check_suffix(target) == ".safetensors":
        require_safetensors()
    if find_spec("torch") is None:
        raise AttnBackendError(
            "A0730", "torch is not installed, and models need it", help="pip install torch"
        )
    from attndsl.runtime.record_attention import Limits, Recorder
    from attndsl.runtime.watch_attention import is_module, recording

    if not is_module(model):
        raise AttnCallError(
            "A0642",
            f"`{type(model).__name__}` is no torch module",
            help="pass the module whose forward pass is to be recorded, such as pipeline.transformer",
        )
    recorder = Recorder(Limits(sequences, queries, max_bytes, seed))
    with recording(model, recorder):
        yield recorder
    _require_calls(recorder)
    _write(recorder, target)


def _require_calls(recorder: Recorder) -> None:
    if recorder.layers:
        return
    if recorder.other_calls:
        queries, keys = recorder.other_calls[0]
        raise AttnCallError(
            "A0637",
            f"no call of attention had as many queries as keys: the first had {queries} and {keys}",
            help="run a whole sequence without a cache (use_cache=False)",
        )
    raise AttnCallError(
        "A0637",
        "the model called scaled_dot_product_attention not once",
        help='call the model inside the block, with its "sdpa" attention',
    )


def _write(recorder: Recorder, path: Path) -> None:
    from attndsl.runtime.write_samples import tensors_of, write_tensors

    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        write_tensors(tensors_of(recorder), partial)
        partial.replace(path)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AttnFileError(
            "A0810",
            f"`{path}` cannot be written: {reason}",
            help="check the path, its permissions and free space",
        ) from None
    finally:
        partial.unlink(missing_ok=True)
