"""Code generation: attention algorithms in tile IR, and one printer of tile IR per target.

`forward.py` states the algorithm once; `interpret.py` runs it in NumPy; `cpp.py` prints it as C++ over the
tile runtime of `tile_runtime.h`; `listing.py` prints it for readers.
"""
