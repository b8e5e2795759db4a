"""The command `pyrovae explain`, which shows the program that a configuration means."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrovae.config.presets import preset, presets
from pyrovae.config.settings import CLASSES, PLACES, Config
from pyrovae.errors import InputError, did_you_mean
from pyrovae.runs.files import path_of
from pyrovae.runs.trust import check_classes, check_places

from ..options import SettingsCommand, check_out, repeated_of, save_out, trusts
from ..terminal import say
from ..values import NAMED, Whole, examples

if TYPE_CHECKING:
    from pyrovae.data.data import Batch, Data
    from pyrovae.explain.explanation import Explanation
    from pyrovae.program import Program

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
@click.option("--figure", metavar="FILE", type=NAMED, help=f"also draw the plates and formulas: {', '.join(KINDS)}")
@click.option(
    "--graphviz", is_flag=True, help="let Pyro draw the figure (pyro.render_model): the model, without its guide"
)
@click.option("--force", is_flag=True, help="overwrite the file that --figure names")
@trusts
def command(
    what: str | None,
    images: int | None,
    figure: Path | None,
    graphviz: bool,
    force: bool,
    trust: bool,
    **flags: str | None,
) -> None:
    """Show the program that a preset, a run folder or the flags below describe: its formulas and plates, the source of
    model and guide, each site of their traces, and the ELBO by site on real images, compared with densities in plain
    PyTorch.

    The name of a preset means the preset, any other name a run folder (./NAME if it is called like a preset).
    Flags override its settings. If they change the data or the model of a run, new weights are drawn.
    """
    check_out(figure, KINDS, force, "figure")
    if graphviz and figure is None:
        raise InputError("graphviz: expected --figure FILE beside it, got none")
    settings = {name: value for name, value in flags.items() if value is not None}
    path, config = _config_of(what, settings, trust)
    from pyrovae.explain.explanation import explain
    from pyrovae.inference import seeded

    from .text import show

    if graphviz:
        from pyrovae.explain.plates import expect_graphviz

        expect_graphviz()
    program, data, weights = _load(path, config, settings, trust)
    with seeded(config.seed):
        batch = data.batch(data.train, slice(0, images or config.batch_size))
        explanation = explain(program, batch, config)
    title = what or ("these settings" if settings else "the default")
    show(explanation, config, f"{title}: {weights}")
    if figure is not None:
        save_out(figure, _draw(explanation, program, batch, figure, Path(title).name, graphviz), "figure")
        say(figure)


def _config_of(what: str | None, settings: dict[str, str], trust: bool) -> tuple[Path | None, Config]:
    """Return the run folder, None for a preset, and its config with the settings of the flags."""
    if what is None or what in presets():
        return None, Config.from_toml(*([] if what is None else [preset(what)]), **settings)
    path = path_of("explain", what)
    if not path.exists():
        hint = did_you_mean(what, presets())
        raise InputError(f"explain: expected a preset (pyrovae list presets) or a run folder, got {what!r}{hint}")
    from pyrovae.runs.run import Run

    config = Run(path, trust).config.replace(**settings)
    if not trust:
        check_classes(config, settings, path)
        check_places(config, settings, path)
    return path, config


def _load(path: Path | None, config: Config, settings: dict[str, str], trust: bool) -> tuple["Program", "Data", str]:
    """Return the program, its data, and a phrase that says where its weights come from."""
    from pyrovae.data.loading import load
    from pyrovae.evaluation.elbo import sites_of_images
    from pyrovae.programs.build import build_for
    from pyrovae.runs.run import Run
    from pyrovae.training.fit import fit
    from pyrovae.training.objective import objective_of

    about = "initial weights"
    if path is not None:
        run = Run(path, trust, **repeated_of(settings))
        changed = [name for name in _settings_of_weights() if not _same(name, run.config, config)]
        if not changed and (path / "model.safetensors").exists():
            run.config = config
            sites = sites_of_images(run.vae, run.data, run.data.test)
            objective_of(config, run.vae, sites)  # raises InputError if the objective does not fit
            return run.vae, run.data, "trained weights"
        about += f", as {changed[0]} is changed" if changed else ", as the run holds none"
    data = load(config)
    on_cpu = config.replace(device="cpu", precision="fp32", compile="no")
    program = build_for(on_cpu, data)
    fit(program, data, on_cpu)  # some priors start from training images
    return program, data, about


def _settings_of_weights() -> list[str]:
    """List the settings that weights depend on."""
    extras = {name: field.json_schema_extra for name, field in Config.model_fields.items() if name != "data_dir"}
    return [
        name
        for name, extra in extras.items()
        if isinstance(extra, dict) and extra["group"] in ("Data", "Model", "Program")
    ]


def _same(name: str, run: Config, config: Config) -> bool:
    """Check that a setting is the same in both configs; a user's class or data set may have been moved."""
    before, now = getattr(run, name), getattr(config, name)
    moved = name in (*CLASSES, *PLACES) and ":" in str(before) and ":" in str(now)
    return before == now or moved


def _draw(
    explanation: "Explanation", program: "Program", batch: "Batch", path: Path, title: str, graphviz: bool
) -> bytes:
    """Draw the figure of the kind that the suffix of `path` names, and return the content of its file."""
    from pyrovae.explain.plates import plate_figure, render_by_graphviz
    from pyrovae.figures.style import as_picture

    kind = path.suffix.removeprefix(".")
    return render_by_graphviz(program, batch, kind) if graphviz else as_picture(plate_figure(explanation, title), kind)
