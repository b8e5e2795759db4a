"""What is said of one program, by the file that knows its kind."""

from typing import NamedTuple

from pyrovae.explain.formulas import Formula
from pyrovae.explain.listing import Listing
from pyrovae.explain.terms import Term, TermByImage


class Account(NamedTuple):
    """What an explanation says of a program, besides what holds for all of them."""

    formulas: list[Formula]
    program: list[Listing]  # model and guide, and the methods that make their distributions
    densities: list[Listing]  # the functions that compute the same densities in plain PyTorch
    parameters: dict[str, int]  # the number of trained parameters in each part
    terms: list[TermByImage]  # one for each site of the ELBO
    kls: list[Term]  # the KL at the values that were drawn; then in closed form, where that is known
    missing: list[str]  # what has no density in plain PyTorch
