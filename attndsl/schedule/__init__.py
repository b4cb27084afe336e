"""From a bound pattern to its schedule: which key tiles each query tile visits, found without N x N work.

The stages, one file each: `tiling` cuts the spaces into tiles, `choose` picks their sizes, `pyramid` and
`region` evaluate the mask over boxes of tokens, `classify` (any mask) and `separable` (masks that are
products over the axes) find the visited tiles, `residual` keeps what is undecided in them, and `block_map`
and `schedule` hold the result.
"""
