"""A whole step as one CUDA graph."""

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import fit
from pyrovae.inference.cuda_graph import Replay

needs_cuda = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


class TestCuda:
    """Whole steps as CUDA graphs, on a CUDA device."""

    pytestmark = needs_cuda

    @pytest.mark.parametrize("schedule", ["constant", "cosine"])
    def test_training_by_replays_equals_the_eager_training(self, schedule):
        records = {}
        for compiled in ("no", "yes"):
            vae, config = small_vae(
                compile=compiled, epochs=3, schedule=schedule, warmup=2, pixels="dynamic", device="cuda"
            )
            fitting = fit(vae, small_data(pixels="dynamic"), config)
            records[compiled] = [record["train"] for record in fitting]
            assert isinstance(fitting.svi.compiled, Replay) == (compiled == "yes")
        for eager, fast in zip(records["no"], records["yes"]):
            assert fast == pytest.approx(eager, rel=1e-3)

    def test_compiling_moves_neither_weights_nor_optimizer_state(self):
        vae, config = small_vae(compile="yes", device="cuda")
        fitting = fit(vae, small_data(pixels=config.pixels), config)
        before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
        fitting.training_step.compile(torch.arange(16, device="cuda"))
        assert all(torch.equal(tensor, before[name]) for name, tensor in vae.state_dict().items())
        states = fitting.svi.optim.state
        assert all(not value.any() for state in states.values() for value in state.values())

    def test_every_replay_draws_new_random_numbers(self):
        vae, config = small_vae(compile="yes", device="cuda", lr=1e-12)
        fitting = fit(vae, small_data(pixels=config.pixels), config)
        rows = torch.arange(16, device="cuda")
        fitting.training_step.compile(rows)
        first, second = fitting.svi.step(rows), fitting.svi.step(rows)
        assert first != second

    @pytest.mark.parametrize("compiled", ["no", "yes"])
    def test_a_step_waits_for_nothing(self, compiled):
        vae, config = small_vae(compile=compiled, likelihood="student_t", device="cuda")
        fitting = fit(vae, small_data(pixels=config.pixels), config)
        next(iter(fitting))  # whose first step Pyro validates
        rows = torch.arange(16, device="cuda")
        torch.cuda.set_sync_debug_mode("error")
        try:
            fitting.svi.step(rows)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    @pytest.mark.parametrize("precision", ["tf32", "bf16"])
    def test_lower_precision_changes_a_training_a_little(self, precision):
        records = {}
        for name in ("fp32", precision):
            vae, config = small_vae(compile="yes", epochs=2, precision=name, device="cuda")
            *_, records[name] = fit(vae, small_data(pixels=config.pixels), config)
        assert records[precision]["train"]["loss"] == pytest.approx(records["fp32"]["train"]["loss"], rel=0.02)
