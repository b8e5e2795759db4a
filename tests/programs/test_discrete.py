"""The discrete program: its exact sum, the estimators of its gradient, and what a program without a vector offers."""

import copy
import itertools
import json
import math
import warnings

import pyro.distributions as dist
import pytest
import torch
from pyro.infer import TraceEnum_ELBO
from support.builders import expect_resumed, small_data, small_vae
from support.commands import pyrovae
from support.likelihoods import LIKELIHOODS
from torch.distributions import Categorical, kl_divergence

from pyrovae import Config, InputError, build, fit, gradients
from pyrovae.config.presets import preset
from pyrovae.data import load
from pyrovae.evaluation.elbo import elbo_scores
from pyrovae.evaluation.importance import log_likelihoods, log_weights
from pyrovae.evaluation.latents import report
from pyrovae.figures import FIGURES, draw
from pyrovae.figures.style import Unfit
from pyrovae.inference import seeded
from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.objectives import EnumeratedELBO, TraceELBO
from pyrovae.parts.networks import NETWORKS
from pyrovae.programs.symbols import RELAXATIONS, OneHotSymbols
from pyrovae.training.batched import fit_batched

FEW = {"program": "discrete", "variables": 3, "symbols": 2}
UNIFORM = OneHotSymbols(torch.full((3, 2), -math.log(2), dtype=torch.float64))
ESTIMATORS = (*RELAXATIONS, "score_function", "enumeration")


def few(scale=1.0, **settings):
    """Build a program of eight codes in float64, whose guide is `scale` times as far from uniform as at first."""
    program, config = small_vae(**(FEW | {"shape": (1, 4, 4)} | settings))
    program = program.double()
    with torch.no_grad():
        program.head.weight.mul_(scale)
        program.decoder.body[-1].weight.mul_(5.0)
    return program, config


def binary(n=5, shape=(1, 4, 4)):
    with seeded(3):
        return torch.rand(n, *shape, dtype=torch.float64).round()


def brute_force(program, x):
    """Return log p(x) = log Σ_z p(z) p(x | z), one code after another."""
    variables, symbols = program.variables, program.symbols
    terms = []
    for code in itertools.product(range(symbols), repeat=variables):
        z = torch.eye(symbols, dtype=x.dtype)[list(code)]
        p = program.likelihood(program.decoder(z.flatten()[None]))
        terms.append(p.log_prob(x) - variables * math.log(symbols))
    return torch.stack(terms).logsumexp(0)


def gradients_of(loss, program, x):
    return torch.autograd.grad(loss.differentiable_loss(program.model, program.guide, x), [*program.parameters()])


# --- what it is ---


def test_a_code_is_a_matrix_of_symbols_and_no_vector():
    program, _ = small_vae(program="discrete", variables=4, symbols=3)
    site = program.sites(torch.rand(2, 1, 8, 8))["z"]
    assert (site.event_shape, site.discrete, site.summed, program.code) == ((4, 3), True, False, None)
    with pytest.raises(InputError, match="code: expected a program whose code is a vector, got one without"):
        program.encode(torch.rand(2, 1, 8, 8))


def test_symbols_are_independent_categoricals():
    with seeded(0):
        log_pi, other = torch.randn(2, 5, 3, 4, dtype=torch.float64).log_softmax(-1)
    q, each = OneHotSymbols(log_pi), Categorical(logits=log_pi)
    z = q.sample((20_000,))
    assert z.shape == (20_000, 5, 3, 4)
    assert torch.equal(z.sum(-1), torch.ones(20_000, 5, 3, dtype=z.dtype))
    torch.testing.assert_close(q.log_prob(z), each.log_prob(z.argmax(-1)).sum(-1))
    assert (z.mean(0) - q.mean).abs().max() < 5 * 0.5 / math.sqrt(20_000)
    assert torch.equal(q.mode.argmax(-1), log_pi.argmax(-1))
    torch.testing.assert_close(
        kl_divergence(q, OneHotSymbols(other)), kl_divergence(each, Categorical(logits=other)).sum(-1)
    )
    values = q.enumerate_support()
    assert values.shape == (4**3, 5, 3, 4)
    torch.testing.assert_close(q.log_prob(values).logsumexp(0), torch.zeros(5, dtype=z.dtype))
    assert q.enumerate_support(expand=False).shape == (4**3, 1, 3, 4)


def test_relaxed_draws_are_pyros_and_hard_ones_are_one_hot():
    log_pi, temperature = torch.randn(6, 2, 4).log_softmax(-1), torch.tensor(0.7)
    drawn = {}
    for name in RELAXATIONS:
        with seeded(1):
            drawn[name] = OneHotSymbols(log_pi, name, temperature).rsample()
    with seeded(1):
        soft = dist.RelaxedOneHotCategorical(temperature, logits=log_pi).rsample()
    with seeded(1):
        hard = dist.RelaxedOneHotCategoricalStraightThrough(temperature, logits=log_pi).rsample()
    torch.testing.assert_close(drawn["gumbel_softmax"], soft)
    assert torch.equal(drawn["straight_through_gumbel"], hard)
    assert torch.equal(drawn["straight_through"], hard)


def test_the_straight_through_gradient_is_that_of_the_mean():
    logits = torch.randn(6, 2, 4, requires_grad=True)
    q, weight = OneHotSymbols(logits.log_softmax(-1), "straight_through"), torch.randn(2, 4)
    through, of_mean = (
        torch.autograd.grad((z * weight).sum(), logits, retain_graph=True)[0] for z in (q.rsample(), q.mean)
    )
    torch.testing.assert_close(through, of_mean)


def test_evaluation_draws_symbols_however_the_program_is_trained():
    program, _ = small_vae(program="discrete", gradient="gumbel_softmax")
    x = torch.rand(4, 1, 8, 8)
    relaxed, drawn = program.train().guide(x), program.eval().guide(x)
    assert not torch.equal(relaxed, relaxed.round())
    assert torch.equal(drawn, drawn.round())
    assert torch.equal(drawn.sum(-1), torch.ones(4, 20))


def test_reconstructions_are_decoded_from_the_most_probable_symbols():
    program, _ = few(scale=5.0)
    x = binary()
    log_pi = program.head(program.encoder(x)).unflatten(-1, (3, 2))
    z = torch.nn.functional.one_hot(log_pi.argmax(-1), 2).double()
    with torch.no_grad():
        torch.testing.assert_close(program.reconstruct(x), program.likelihood(program.decoder(z.flatten(-2))).mean)


# --- the exact sum ---


def test_enumeration_meets_the_exact_log_likelihood():
    program, _ = few(gradient="enumeration", scale=5.0)
    x = binary()
    with torch.no_grad():
        exact = brute_force(program, x)
    for samples in (1, 3):
        weights = log_weights(program.model, program.guide, samples, x)
        torch.testing.assert_close(weights, exact.expand(samples, -1), rtol=1e-12, atol=1e-12)


def test_importance_sampling_meets_the_exact_log_likelihood():
    program, _ = few(scale=5.0)
    x = binary()
    with torch.no_grad(), seeded(0):
        exact = brute_force(program, x)
        log_w = log_weights(program.model, program.guide, 20_000, x)
    estimate = torch.logsumexp(log_w, 0) - math.log(len(log_w))
    error = (log_w - estimate).exp().std(0) / math.sqrt(len(log_w))
    difference = (estimate - exact) / error
    assert error.max() < 0.05
    assert difference.abs().max() < 3  # the largest of five
    assert difference.square().mean().sqrt() < 2


def test_evaluation_of_a_sum_is_exact_whatever_the_number_of_samples():
    config = Config(**FEW, gradient="enumeration", pixels="threshold", hidden=(16,), device="cpu")
    data = load(config)
    program, images = build(config, data.shape), data.test[slice(0, 70)]
    with torch.no_grad():
        exact = brute_force(program, data.batch(images, slice(None)).x)
    batches = [*log_likelihoods(program, data, images, samples=5000)]
    torch.testing.assert_close(torch.cat([batch["log_likelihood"] for batch in batches]).float(), exact)
    assert all(torch.allclose(batch["effective_samples"], torch.tensor(5000.0).double()) for batch in batches)
    assert all((batch["pareto_k"] == 0).all() for batch in batches)


@pytest.mark.parametrize("settings", [{}, {"condition": "label"}, {"variables": 1, "symbols": 5}])
def test_the_enumerated_elbo_and_its_gradient_are_pyros(settings):
    program, _ = few(gradient="enumeration", **settings)
    x = binary()
    y = program.given(x, torch.arange(5) % 3) if settings.get("condition") else None
    y = None if y is None else y.double()
    ours, theirs = EnumeratedELBO(max_plate_nesting=1), TraceEnum_ELBO(max_plate_nesting=1)
    values = [loss.differentiable_loss(program.model, program.guide, x, y) for loss in (ours, theirs)]
    torch.testing.assert_close(*values)
    for one, other in zip(*(torch.autograd.grad(value, [*program.parameters()]) for value in values)):
        torch.testing.assert_close(one, other)


# --- the gradient ---


def test_the_score_function_averages_to_the_enumerated_gradient():
    program, _ = few(hidden=(4,))
    x, loss = binary(), TraceELBO(max_plate_nesting=1)
    program.gradient = "enumeration"
    exact = torch.cat([g.flatten() for g in gradients_of(EnumeratedELBO(max_plate_nesting=1), program, x)])
    program.gradient = "score_function"
    program.train()
    with seeded(0):
        draws = torch.stack([torch.cat([g.flatten() for g in gradients_of(loss, program, x)]) for _ in range(1000)])
    error = draws.std(0) / math.sqrt(len(draws))
    moving = error > 0
    difference = ((draws.mean(0) - exact)[moving] / error[moving]).abs()
    assert difference.max() < 4.5
    assert difference.square().mean().sqrt() < 1.5
    torch.testing.assert_close(draws.mean(0)[~moving], exact[~moving])


def test_straight_through_is_exact_for_the_kl():
    """The KL alone is linear in π at fixed π, so that its gradient through the draws has no bias."""
    program, _ = few(hidden=(4,), gradient="straight_through", scale=5.0)
    program.train()
    x = binary()
    parameters = [*program.encoder.parameters(), *program.head.parameters()]

    def kl(z, q):
        return (q.log_prob(z) - UNIFORM.log_prob(z)).sum()

    def q():
        log_pi = program.head(program.encoder(x)).unflatten(-1, (3, 2)).log_softmax(-1)
        return OneHotSymbols(log_pi, "straight_through")

    with seeded(0):
        draws = [torch.autograd.grad(kl(q().rsample(), q()), parameters) for _ in range(1000)]
    exact = torch.autograd.grad(kl_divergence(q(), UNIFORM).sum(), parameters)
    for each, right in zip(zip(*draws), exact):
        mean, error = torch.stack(each).mean(0), torch.stack(each).std(0) / math.sqrt(1000)
        assert ((mean - right).abs() < 5 * error + 1e-9).all()


@pytest.mark.parametrize("gradient", ESTIMATORS)
def test_every_estimator_lowers_the_loss_on_digits(gradient):
    config = Config(
        program="discrete", variables=3, symbols=3, gradient=gradient, epochs=3, threads=1, compile="no", device="cpu"
    )
    data = load(config)
    records = [*fit(build(config, data.shape), data, config)]
    assert records[-1]["test"]["loss"] < records[0]["test"]["loss"] - 5
    assert "active_units" not in records[-1]


@pytest.mark.parametrize("gradient", ESTIMATORS)
def test_every_step_can_be_captured_as_a_graph_which_follows_the_temperature(gradient):
    program, config = small_vae(**FEW, gradient=gradient)
    with fit(program, small_data(), config).training_step.to_capture(torch.arange(16)) as function:
        graph = trace_graph(function, torch.arange(16))
        for temperature in (1.0, 0.3):
            program.temperature.fill_(temperature)
            results = []
            for step in (function, graph):
                torch.manual_seed(5)
                results.append(step(torch.arange(7, 23)))
            for one, other in zip(*results):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("loops_of_numbers")
def test_a_compiled_training_is_the_same_but_for_rounding():
    losses = []
    for choice in ("no", "yes"):
        program, config = small_vae(**FEW, compile=choice)
        training = fit(program, small_data(), config)
        losses.append([record["test"]["loss"] for record in training])
        assert training.compiled == (choice == "yes")
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("gradient", ["gumbel_softmax", "score_function"])
def test_several_seeds_train_as_one_batched_program(gradient):
    def start(seed):
        program, config = small_vae(**FEW, gradient=gradient, seed=seed, compile="no", threads=1)
        return fit(program, small_data(), config)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        *_, together = fit_batched([start(0), start(1)])
    alone = [[*start(seed)][-1] for seed in (0, 1)]
    assert [record["test"]["loss"] for record in together] == pytest.approx(
        [record["test"]["loss"] for record in alone], rel=1e-4
    )


def test_the_temperature_falls_from_epoch_to_epoch_and_follows_a_resumed_training():
    def start():
        program, config = small_vae(program="discrete", epochs=4, temperature=2.0, temperature_end=0.5, compile="no")
        return fit(program, small_data(), config)

    half, rest = start(), start()
    first = next(iter(half)) and half.vae.temperature.item()
    rest.load_state_dict(copy.deepcopy(half.state_dict()))
    temperatures = [first, *(rest.vae.temperature.item() for _ in rest)]
    last_steps = [2.0 * 0.25 ** ((epoch + 2 / 3) / 4) for epoch in range(4)]  # an epoch has three steps
    assert temperatures == pytest.approx(last_steps)
    assert "temperature" not in rest.vae.state_dict()


GRID = [
    *(
        {"likelihood": name, "pixels": member.domain[0], "network": network}
        for name, member in LIKELIHOODS.items()
        for network in NETWORKS
    ),
    *({"gradient": name} for name in RELAXATIONS),
    *({"gradient": name, "objective": "elbo"} for name in RELAXATIONS),
    {"gradient": "score_function"},
    {"gradient": "score_function", "particles": 3},
    {"gradient": "gumbel_softmax", "particles": 3},
    {"gradient": "enumeration"},
    {"condition": "label"},
    {"condition": "label", "gradient": "enumeration"},
    {"condition": "quadrant1", "prior": "normal"},
    {"free_bits": 0.1},
]


@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_all_parts_train_and_resume_bit_for_bit(settings):
    data = small_data(pixels=settings.get("pixels", "grey"))

    def start():
        program, config = small_vae(**FEW, compile="no", threads=1, **({"epochs": 3} | settings))
        return fit(program, data, config)

    expect_resumed(start)


# --- what a program without a vector offers ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discrete") / "run"
    flags = "--program discrete --variables 3 --symbols 4 --hidden 16 --epochs 2 --pixels static --device cpu"
    assert pyrovae(f"train {flags} --out {folder}") == 0
    return folder


def test_all_commands_but_the_explorer_take_a_run(trained, capsys):
    for command in ("evaluate {} --samples 50", "sample {}", "plot {}", "report {}", "gradients {} --draws 3"):
        assert pyrovae(command.format(trained)) == 0, capsys.readouterr()
    assert {path.stem for path in (trained / "figures").glob("*.png")} == {
        "losses",
        "reconstructions",
        "samples",
        "progress",
        "sample",
    }
    assert "images" in json.loads((trained / "evaluation.json").read_text(encoding="utf-8"))
    capsys.readouterr()
    assert pyrovae(f"explore {trained}") == 2
    message = capsys.readouterr().err
    assert "explore: expected a program whose code is a vector, got one without" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", sorted({*FIGURES} - {"losses", "reconstructions", "samples", "progress"}))
def test_figures_that_need_a_vector_say_so_in_one_line(name):
    program, config = small_vae(**FEW)
    run = fit(program, small_data(), config)
    with pytest.raises(Unfit, match=f"figure {name}: expected ") as refusal:
        next(draw(type("Run", (), {"config": config, "vae": program, "data": run.data})(), [name]))
    assert "\n" not in str(refusal.value)


def test_the_latent_report_has_no_part_about_a_vector():
    program, _ = small_vae(**FEW)
    data = small_data()
    assert report(program, data) == {"images": 40}
    assert set(elbo_scores(program, data, data.test)) == {"loss", "reconstruction", "kl"}


def test_the_table_of_gradient_noise_has_the_estimators(trained):
    rows = {row["objective"]: row for row in gradients(trained, draws=50, images=20, device="cpu")}
    assert tuple(rows) == ESTIMATORS
    assert rows["enumeration"]["guide"] == {**rows["enumeration"]["guide"], "variance": 0.0, "snr": None}
    noise = {name: row["guide"]["variance"] for name, row in rows.items()}
    assert noise["score_function"] > 10 * max(noise[name] for name in RELAXATIONS)
    assert min(noise[name] for name in RELAXATIONS) > 0


# --- bad input ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"gradient": "enumeration", "variables": 20, "symbols": 10},
            r"gradient: expected at most 1,024 codes to sum over, got 10\^20",
        ),
        (
            {"gradient": "enumeration", "variables": 11},
            r"gradient: expected at most 1,024 codes to sum over, got 2\^11",
        ),
        ({"gradient": "enumeration", "variables": 1_000_000_000}, "gradient: expected at most 1,024 codes"),
        ({"gradient": "score_function", "objective": "analytic"}, "objective: expected elbo for --gradient score_fun"),
        ({"objective": "mmd"}, "objective: expected elbo or analytic for --gradient gumbel_softmax, got 'mmd'"),
        ({"symbols": 1}, "symbols: expected greater than or equal to 2, got 1"),
        ({"variables": 0}, "variables: expected greater than or equal to 1, got 0"),
        ({"temperature": 0.0}, "temperature: expected .*0.* got 0"),
        ({"temperature_end": -1.0}, "temperature_end: expected .*0.* got -1"),
        ({"gradient": "reinforce"}, "gradient: expected .*score_function.* got 'reinforce'"),
        ({"prior": "vamp"}, "prior: expected normal, as program 'discrete' does not read it"),
        ({"posterior": "flow"}, "posterior: expected diagonal, as program 'discrete' does not read it"),
        ({"latent_dim": 5}, "latent_dim: expected 2, as program 'discrete' does not read it"),
        ({"program": "vae"}, r"variables: expected 20, as program 'vae' does not read it \(discrete does"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        small_vae(**(FEW | settings))
    assert "\n" not in str(refusal.value)


def test_the_largest_sum_is_allowed():
    program, _ = small_vae(program="discrete", gradient="enumeration", variables=10, symbols=2)
    assert program.sites(torch.rand(2, 1, 8, 8))["z"].summed


@pytest.mark.parametrize("gradient", ESTIMATORS)
def test_the_kl_is_in_closed_form_by_default_where_draws_are_relaxed(gradient):
    config = Config(program="discrete", gradient=gradient)
    assert config.objective == ("analytic" if gradient in RELAXATIONS else "elbo")
    assert config.replace(program="vae", gradient="gumbel_softmax").objective == "elbo"
    assert Config(program="discrete", objective="elbo").replace(seed=1).objective == "elbo"


def test_the_preset_is_that_of_the_paper():
    config = Config.from_toml(preset("mnist-discrete"))
    assert (config.variables, config.symbols, config.pixels, config.objective) == (20, 10, "static", "analytic")
