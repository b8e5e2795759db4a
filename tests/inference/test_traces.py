"""Traces of guide and model."""

import pyro
import pyro.distributions as dist
import torch

from pyrovae.inference.traces import guide_then_model, sample_sites


def model(x):
    with pyro.plate("rows", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide(x):
    with pyro.plate("rows", len(x)):
        pyro.sample("z", dist.Normal(x, 0.1))


def test_the_model_runs_at_the_values_of_the_guide():
    guide_trace, model_trace = guide_then_model(model, guide, torch.zeros(5))
    assert torch.equal(model_trace.nodes["z"]["value"], guide_trace.nodes["z"]["value"])
    assert model_trace.nodes["x"]["is_observed"]


def test_sample_sites_are_in_the_order_of_the_run_and_without_arguments_and_return_value():
    _, model_trace = guide_then_model(model, guide, torch.zeros(5))
    assert {"_INPUT", "_RETURN"} <= model_trace.nodes.keys()
    assert [name for name in sample_sites(model_trace) if name != "rows"] == ["z", "x"]
