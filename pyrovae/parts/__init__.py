"""The parts that programs are made of.

Each family is a folder with one member a file; the `__init__.py` of the folder says what a member must have, and lists
all members by name.

| folder | a member returns |
|---|---|
| `networks` | the bodies of encoder and decoder: tensors |
| `posteriors` | q(z | x, y), from the encoder's features |
| `priors` | p(z | y), from the context |
| `likelihoods` | p(x | z, y), from the decoder's features |

A config names a member, or a class of your own as `package.module:Class` or `path/to/file.py:Class`. A constructor asks
for what it needs by the names of its parameters (`registry.call`).
"""
