"""ATen's names of operations that are one step for the page."""

# Functions of each number, by the names that `nn.js` has for them, too.
EACH = frozenset(
    """
    neg abs sign exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal sin cos tan asin acos atan sinh cosh tanh
    asinh acosh atanh sigmoid relu erf floor ceil round trunc isnan isinf add sub mul div maximum minimum pow fmod
    remainder atan2 hypot eq ne lt le gt ge where logical_not logical_and logical_or logical_xor
    """.split()  # noqa: SIM905
)
SAME_AS = {"bitwise_not": "logical_not", "bitwise_and": "logical_and", "bitwise_or": "logical_or"}  # of truth

# These only move numbers, so that it can be asked of the numbers of places where each one goes.
MOVES = frozenset(
    """
    view _unsafe_view reshape permute transpose t expand expand_as squeeze unsqueeze select slice split split_with_sizes
    unbind cat stack diagonal alias clone copy detach flip roll repeat index index_select gather index_put slice_scatter
    select_scatter diagonal_scatter upsample_nearest2d pixel_shuffle pixel_unshuffle as_strided tril triu im2col
    lift_fresh_copy contiguous diag_embed unfold narrow
    """.split()  # noqa: SIM905
)
