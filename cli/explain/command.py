"""pyrovae explain: the program that a configuration means."""

from pathlib import Path
from typing import Any

import click

from pyrovae.config.presets import preset, presets
from pyrovae.config.settings import CLASSES, PLACES, Config
from pyrovae.errors import InputError, did_you_mean
from pyrovae.runs.files import path_of
from pyrovae.runs.trust import check_classes, check_places

from ..options import SettingsCommand, check_out, repeated_of, save_out
from ..values import NAMED, Whole, examples

KINDS = (".png", ".svg", ".pdf")


@click.command(
    "explain",
    cls=SettingsCommand,
    epilog=examples(
        "pyrovae explain mnist-cvae --figure plates.png",
        "pyrovae explain results/digits",
        "pyrovae explain --prior vamp",
    ),
)
@click.argument("what", required=False, metavar="[PRESET|RUN]")
@click.option("--images", metavar="N", type=Whole(), help="the first N training images  [as many as a step takes]")
@click.option("--figure", metavar="FILE", type=NAMED, help=f"draw the plates and formulas, too: {', '.join(KINDS)}")
@click.option("--graphviz", is_flag=True, help="let Pyro draw that figure, of the model alone (pyro.render_model)")
@click.option("--force", is_flag=True, help="replace the file that --figure names")
def command(
    what: str | None, images: int | None, figure: Path | None, graphviz: bool, force: bool, **given: Any
) -> None:
    """Show the program that a preset, a run folder or the flags below mean: its formulas, plates, model and guide as
    written, each site of their traces, and the ELBO by site on real images, checked against densities in plain PyTorch.

    A name of a preset means the preset, another one a run folder (./NAME where both are there). Flags go over it; those
    of data or model that change a run leave its settings, and new weights.
    """
    check_out(figure, KINDS, force, "figure")
    if graphviz and figure is None:
        raise InputError("graphviz: expected --figure FILE beside it, got none")
    settings = {name: value for name, value in given.items() if value is not None}
    path, config = _configured(what, settings)
    from pyrovae.explain.explanation import explain
    from pyrovae.inference import seeded

    from .text import show

    if graphviz:
        from pyrovae.explain.plates import expect_graphviz

        expect_graphviz()
    vae, data, weights = _made(path, config, settings)
    with seeded(config.seed):
        batch = data.batch(data.train, slice(0, images or config.batch_size))
        found = explain(vae, batch, config)
    title = what or ("these settings" if settings else "the default")
    click.echo(show(found, config, f"{title}: {weights}"), nl=False)
    if figure is not None:
        save_out(figure, _drawn(found, vae, batch, figure, Path(title).name, graphviz), "figure")
        click.echo(figure)


def _configured(what: str | None, settings: dict[str, Any]) -> tuple[Path | None, Config]:
    """The run folder, if `what` is one, and the config with the flags over it."""
    if what is None or what in presets():
        return None, Config.from_toml(*([] if what is None else [preset(what)]), **settings)
    path = path_of("explain", what)
    if not path.exists():
        hint = did_you_mean(what, presets())
        raise InputError(f"explain: expected a preset (pyrovae list presets) or a run folder, got {what!r}{hint}")
    from pyrovae.runs.run import Run

    config = Run(path).config.replace(**settings)
    check_classes(config, settings, path)
    check_places(config, settings, path)
    return path, config


def _made(path: Path | None, config: Config, settings: dict[str, Any]) -> tuple[Any, Any, str]:
    """The model, its data, and in words where its weights come from."""
    from pyrovae.data.data import load
    from pyrovae.programs.build import build
    from pyrovae.runs.run import Run
    from pyrovae.training.fit import fit
    from pyrovae.training.objective import objective_of

    about = "initial weights"
    if path is not None:
        run = Run(path, **repeated_of(settings))
        changed = [name for name in _of_the_model() if not _same(name, run.config, config)]
        if not changed and (path / "model.safetensors").exists():
            run.config = config
            objective_of(config, run.vae)  # which may refuse it
            return run.vae, run.data, "trained weights"
        about += f", as {changed[0]} is changed" if changed else ", as the run holds none"
    data = load(config)
    on_cpu = config.replace(device="cpu", precision="fp32", compile="no")
    return fit(build(on_cpu, data.shape, len(data.classes)), data, on_cpu).vae, data, about


def _of_the_model() -> list[str]:
    """The settings that weights belong to."""
    groups: dict[str, Any] = {name: field.json_schema_extra for name, field in Config.model_fields.items()}
    return [name for name, about in groups.items() if about["group"] in ("Data", "Model") and name != "data_dir"]


def _same(name: str, run: Config, config: Config) -> bool:
    """Whether a setting is as the run has it; a class of one's own, or a place, may have been moved."""
    held, given = getattr(run, name), getattr(config, name)
    moved = name in (*CLASSES, *PLACES) and ":" in str(held) and ":" in str(given)
    return held == given or moved


def _drawn(found: Any, vae: Any, batch: Any, path: Path, title: str, graphviz: bool) -> bytes:
    from pyrovae.explain.plates import by_graphviz, plates
    from pyrovae.figures.style import as_picture

    kind = path.suffix.removeprefix(".")
    return by_graphviz(vae, batch, kind) if graphviz else as_picture(plates(found, title), kind)
