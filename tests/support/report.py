"""Finished runs for a report, and an HTML parser that checks the page."""

from html.parser import HTMLParser

from support.builders import small_data, small_vae

from pyrovae import Run, fit
from pyrovae.figures import draw

VOID = {"meta", "img", "br"}
EVALUATION = {
    "log_likelihood": -40.5,
    "standard_error": 0.25,
    "monte_carlo_error": 0.0125,
    "elbo": -42.0,
    "samples": 5000,
    "images": 40,
    "effective_samples": 58.4,
    "pareto_k": 0.81,
    "unreliable_share": 0.69,
    "latents": {
        "images": 40,
        "active_units": 1,
        "kl_per_dimension": [0.5, 2.0],
        "kl": 2.5,
        "mutual_information_lower": 1.5,
        "mutual_information_upper": 2.25,
        "marginal_kl_lower": 0.25,
        "marginal_kl_upper": 1.0,
    },
    "simulated": {
        "lower_bound": -39.5,
        "upper_bound": -39.25,
        "gap": 0.25,
        "standard_error": 0.03125,
        "images": 20,
    },
    "protocol": "grey",
    "density": False,
    "seed": 0,
    "unit": "nats per image",
}


def make_run(path, **settings):
    """Train a small model and draw some of its figures; the finished run."""
    vae, config = small_vae(**settings)
    data = small_data(pixels=config.pixels)
    fitting, run = fit(vae, data, config), Run.create(path, config)
    for record in fitting:
        run.record(record, fitting)
    run.finish(fitting)
    run.data = data
    for name, figure in draw(run, ["losses", "reconstructions", "samples"]):
        run.save_figure(name, figure)
    return run


class ParsedPage(HTMLParser):
    """Keeps the tags of a page with their attributes, and its text. Raises AssertionError if a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag, name):
        return [attributes.get(name, "") for kind, attributes in self.tags if kind == tag]


def words(text):
    """The text of a page with single spaces."""
    return " ".join(ParsedPage(text).text.split())
