"""The ATen operations that become a single step of the page, by name."""

# Functions of single numbers. `nn.js` has a function of the same name for each of them.
EACH = frozenset(
    """
    neg abs sign exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh
    asinh acosh atanh sigmoid relu erf floor ceil round trunc isnan isinf add sub mul div maximum minimum pow fmod
    remainder atan2 hypot eq ne lt le gt ge where logical_not logical_and logical_or logical_xor
    """.split()  # noqa: SIM905
)
# The page stores truth values as 1 and 0, so an operation on bits does the same as one on truth values.
SAME_AS = {"bitwise_not": "logical_not", "bitwise_and": "logical_and", "bitwise_or": "logical_or"}

# These operations only move numbers. Running one on numbered places shows where each number goes.
MOVES = frozenset(
    """
    view _unsafe_view reshape permute transpose t expand expand_as squeeze unsqueeze select slice split split_with_sizes
    unbind cat stack diagonal alias clone copy detach flip roll repeat index index_select gather index_put slice_scatter
    select_scatter diagonal_scatter upsample_nearest2d pixel_shuffle pixel_unshuffle as_strided tril triu im2col
    lift_fresh_copy contiguous diag_embed unfold narrow
    """.split()  # noqa: SIM905
)
