"""Explains a program: its formulas, its code, its sites, and its ELBO term by term, in Pyro and in plain PyTorch."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from pyrovae.config.settings import Config
from pyrovae.data.data import Batch
from pyrovae.evaluation.elbo import arguments
from pyrovae.explain.by_site import account_by_site
from pyrovae.explain.dependencies import dependencies
from pyrovae.explain.formulas import Formula
from pyrovae.explain.listing import Listing, Site, sites_of
from pyrovae.explain.terms import Term, signed_sum
from pyrovae.explain.traces import traces_of
from pyrovae.explain.vae import account_of_vae, is_plain_vae
from pyrovae.inference.parameters import hidden
from pyrovae.program import Program


@dataclass(frozen=True)
class Explanation:
    """What a program means, as `explain` returns it."""

    formulas: list[Formula]
    program: list[Listing]  # model and guide, and the methods that make their distributions
    densities: list[Listing]  # the functions that compute the same densities in plain PyTorch
    sites: list[Site]
    parameters: dict[str, int]  # the number of trained parameters in each part
    images: int
    context: tuple[int, ...] | None  # the shape of the y of one image
    terms: list[Term]  # one for each site of the ELBO
    total: Term  # their sum
    elbo: Term  # Pyro's own estimate, compared with the total in plain PyTorch; if that is not known, in Pyro
    kls: list[Term]  # the KL at the values that were drawn; then in closed form, where that is known
    missing: list[str]  # what has no density in plain PyTorch

    @property
    def agrees(self) -> bool:
        """Whether all terms have the same value in Pyro and in plain PyTorch."""
        return all(term.agrees for term in (*self.terms, self.total, self.elbo, *self.kls))

    def site(self, program: str, name: str) -> Site:
        """Return a site of "model" or "guide"."""
        return next(site for site in self.sites if (site.program, site.name) == (program, name))


def explain(program: Program, batch: Batch, config: Config | None = None) -> Explanation:
    """Explain a program on images (n, C, H, W) and their labels (n,), as `Data.batch` returns them.

    Works on a copy of `program`, in float64 and evaluation mode, with one draw of the latents for each image; sites
    that the guide sums over have all of their values. With a config, the parts are called by the names that they have
    there, and the formulas include that of the loss.

    >>> config = Config()
    >>> data = load(config)
    >>> explanation = explain(build(config, data.shape), data.batch(data.test, slice(0, 8)))
    >>> explanation.formulas[0].left, explanation.formulas[0].right, explanation.agrees
    ('p(x, z)', 'p(z) p(x | z)', True)
    """
    program = copy.deepcopy(program).double().eval()
    with _float64_by_default(), torch.no_grad(), hidden():
        batch = Batch(batch.x.double(), batch.labels)
        x, y = arguments(program, batch)
        depends = dependencies(program, x, y)
        traces = traces_of(program, x, y, known=arguments(program, batch, training=True)[1])
        if is_plain_vae(program):
            account = account_of_vae(program, traces, x, y, config)
        else:
            account = account_by_site(program, traces, depends, y, config)
        total = signed_sum("sum", account.terms).mean()
        return Explanation(
            formulas=account.formulas,
            program=account.program,
            densities=account.densities,
            sites=[site for name, trace in traces.by_program() for site in sites_of(name, trace, depends[name])],
            parameters=account.parameters,
            images=len(x),
            context=None if y is None else tuple(y.shape[1:]),
            terms=[term.mean() for term in account.terms],
            total=total,
            elbo=_elbo(traces.estimator, traces.elbo / len(x), total),
            kls=account.kls,
            missing=account.missing,
        )


def _elbo(estimator: str, in_pyro: float, total: Term) -> Term:
    difference = abs(in_pyro - (total.in_pyro if total.in_torch is None else total.in_torch))
    return Term(estimator, "", in_pyro, total.in_torch, difference)


@contextmanager
def _float64_by_default() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
