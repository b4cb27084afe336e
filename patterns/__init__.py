"""The pattern library: one `.attn` file per published attention pattern, and the prelude they share.

The folder is package data. `prelude.attn` holds functions in the language itself, which every `.attn` file
can call; each other file holds one pattern, named as the file, with its source and its published settings in
the docstring. A setting is one line under `Examples:`, a name and then what to bind, as on the command line:

    hunyuan-video: shape=30,48,80 heads=24 window=18,24,24 stride=16,8,8

Every pattern has a setting called `small`, of at most 1024 tokens, which tests and pictures use.
"""
