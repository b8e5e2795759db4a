"""Every combination of listed values: its config, and its name."""

from pyrovae import Config
from pyrovae.config.grid import combinations


def test_every_combination_has_a_config_and_a_name():
    grid = combinations([], {"seed": ("0,1",), "lr": ("1e-2", "0.1"), "latent_dim": ("3",), "hidden": ("8,8; 16",)})
    assert grid.swept == ("hidden", "lr")  # in the order of the fields, whatever that of the flags
    assert [*grid.configs] == [
        f"hidden={hidden},lr={lr},seed={seed}" for hidden in ("8-8", "16") for lr in (0.01, 0.1) for seed in (0, 1)
    ]
    assert grid.configs["hidden=8-8,lr=0.1,seed=1"] == Config(hidden=(8, 8), lr=0.1, seed=1, latent_dim=3)


def test_flags_go_over_toml_and_what_follows_from_them_follows():
    grid = combinations(["latent_dim = 7\nepochs = 3"], {"network": ("mlp,conv",), "epochs": ("4",)})
    assert [config.activation for config in grid.configs.values()] == ["relu", "tanh"]
    assert {(config.latent_dim, config.epochs) for config in grid.configs.values()} == {(7, 4)}


def test_a_name_is_the_name_of_one_folder():
    grid = combinations([], {"likelihood": ("my/soft.py:Soft,bernoulli",)})
    assert [*grid.configs] == ["likelihood=my-soft.py-Soft,seed=0", "likelihood=bernoulli,seed=0"]


def test_the_codes_of_a_hierarchy_are_separated_by_semicolons():
    listed = {"program": ("hierarchical",), "latent_dim": ("4,2; 8,3",), "upper_hidden": ("9;5,5",)}
    grid = combinations([], listed)
    assert {config.latent_dim for config in grid.configs.values()} == {(4, 2), (8, 3)}
    assert {config.upper_hidden for config in grid.configs.values()} == {(9,), (5, 5)}
    preset = combinations(['program = "hierarchical"'], {"latent_dim": ("4,2",), "seed": ("0,1",)})
    assert {config.latent_dim for config in preset.configs.values()} == {(4, 2)}
