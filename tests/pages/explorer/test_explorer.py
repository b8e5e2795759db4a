"""`pyrovae explore`: the page's networks against PyTorch's, in node, and the page itself in a real browser."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from importlib.resources import files
from types import SimpleNamespace

import pytest
import torch
from support.builders import small_data, small_vae
from support.commands import pyrovae
from torch import nn
from torch.nn import functional as F

from pyrovae import InputError
from pyrovae.inference import seeded
from pyrovae.pages.explorer import explore
from pyrovae.pages.explorer.contents import contents
from pyrovae.pages.explorer.export import MAY_CHANGE, MAY_CHANGE_DRAWS, Asked, export
from pyrovae.pages.explorer.operations import OPERATIONS
from pyrovae.pages.explorer.program import trace
from pyrovae.pages.explorer.rounding import Rounded, rounded
from pyrovae.pages.explorer.steps import Steps
from pyrovae.pages.explorer.store import Store
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.networks import ACTIVATIONS, NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.runs.run import Run

CLOSE = 1e-4  # of what the browser decodes to what PyTorch does
NODE, CHROMIUM = shutil.which("node"), shutil.which("chromium") or shutil.which("google-chrome")

# Everything that is listed: likelihoods, activations and posteriors in turn, networks with every kind of condition.
CASES = {
    **{
        name: {
            "likelihood": name,
            "activation": [*ACTIVATIONS][i % len(ACTIVATIONS)],
            "posterior": [*POSTERIORS][i % len(POSTERIORS)],
        }
        for i, name in enumerate(LIKELIHOODS)
    },
    **{
        f"{network}-{condition}": {"network": network, "condition": condition, "shape": (2, 9, 11)}
        for network in NETWORKS
        for condition in ("none", "label", "quadrant1")
    },
}


def asked_of(shape=(1, 8, 8), **settings):
    """A small model's decoder and encoder, with what three codes and three pictures need."""
    pixels = LIKELIHOODS[settings.get("likelihood", "bernoulli")].domain[0]
    vae, config = small_vae(shape=shape, pixels=pixels, **({"latent_dim": 3} | settings))
    data = small_data(shape=shape, pixels=pixels)
    u, z = data.test.images[:3].float() / 255, torch.randn(3, config.latent_dim)
    if config.condition == "label":
        y = vae.context(torch.arange(3))
        return Asked(vae, data.pixels), {"z": z, "y": y}, {"u": u, "y": y}
    return Asked(vae, data.pixels), {"z": z} | ({} if config.condition == "none" else {"u": u}), {"u": u}


def may_change(answers):
    """By how much rounding may change answers of these names."""
    return MAY_CHANGE | (MAY_CHANGE_DRAWS if "draws" in answers else {})


def rows(tensors, i):
    return {name: tensor[i : i + 1] for name, tensor in tensors.items()}


def listed(tensors):
    return {name: tensor.flatten().tolist() for name, tensor in tensors.items()}


def node(cases):
    """Run programs by `nn.js`: for each of (text of the store, program, arguments), its answers."""
    script = (
        "".join((files("pyrovae.pages.explorer") / name).read_text() for name in ("nn.js", "store.js"))
        + """
    const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
    (async () => {
      const found = [];
      for (const [text, program, args] of cases) {
        const run = programOf(program, await unpacked(text)), plain = ([k, v]) => [k, Array.from(v, String)];
        found.push(args.map(given => Object.fromEntries(Object.entries(run(given)).map(plain))));
      }
      process.stdout.write(JSON.stringify(found));
    })();
    """
    )
    done = subprocess.run([NODE, "-e", script], input=json.dumps(cases), capture_output=True, text=True, check=True)
    words = {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}
    return [
        [{k: torch.tensor([float(words.get(x, x)) for x in v]) for k, v in answer.items()} for answer in case]
        for case in json.loads(done.stdout)
    ]


needs_node = pytest.mark.skipif(NODE is None, reason="no node to run JavaScript with")


@pytest.fixture(scope="module")
def exported():
    """Each case's programs and store, and what PyTorch answers."""
    found = {}
    for name, settings in CASES.items():
        torch.manual_seed(0)
        asked, codes, pictures = asked_of(**settings)
        store, contexts = Store(), {key: part for key, part in codes.items() if key != "z"}
        programs = export(asked, store, 0, codes["z"], contexts, pictures)
        with torch.no_grad():
            decoded = [asked.decode(**rows(codes, i)) for i in range(3)]
            encoded = []
            for i in range(3):
                with seeded(0):
                    encoded.append(asked.encode(**rows(pictures, i)))
        found[name] = SimpleNamespace(
            programs=programs, text=store.text(), codes=codes, pictures=pictures, decoded=decoded, encoded=encoded
        )
    return found


@pytest.fixture(scope="module")
def answers(exported):
    """What nn.js answers: (decoder's, encoder's) for each case."""
    cases = []
    for case in exported.values():
        for part, given in (("decoder", case.codes), ("encoder", case.pictures)):
            cases.append([case.text, case.programs[part], [listed(rows(given, i)) for i in range(3)]])
    found = node(cases)
    return {name: (found[2 * i], found[2 * i + 1]) for i, name in enumerate(exported)}


@needs_node
@pytest.mark.parametrize("name", CASES)
def test_the_browsers_networks_answer_as_pytorch_does(name, exported, answers):
    for wanted, found in zip((exported[name].decoded, exported[name].encoded), answers[name]):
        for want, got in zip(wanted, found):
            assert want.keys() == got.keys()
            for key, tensor in want.items():
                assert (got[key] - tensor.flatten()).abs().max() < max(CLOSE, 2 * may_change(want)[key]), key


@pytest.mark.parametrize("name", CASES)
def test_rounding_changes_answers_by_less_than_it_may(name, exported):
    for part in ("decoder", "encoder"):
        changes = exported[name].programs[part]["changes"]
        assert all(change <= may_change(changes)[what] for what, change in changes.items())


# --- whole pages: every prior with every kind of condition, every posterior and network among them ---

CONDITIONS = ("none", "label", "quadrant1", "quadrant2", "quadrant3")  # of quadrants one for each prior, in turn
LEARNED = {"mixture", "vamp", "exemplar", "flow", "conditional"}  # which a posterior without a density cannot train


def page_settings(i, prior, condition):
    """Settings of page i; posteriors and networks are dealt in turn."""
    posteriors = [name for name in POSTERIORS if not (name == "delta" and prior in LEARNED)]
    network = [*NETWORKS][i % len(NETWORKS)]
    return {"prior": prior, "condition": condition, "posterior": posteriors[i % len(posteriors)], "network": network}


PAGES = [
    page_settings(3 * i + j, prior, condition)
    for i, prior in enumerate(PRIORS)
    for j, condition in enumerate((*CONDITIONS[:2], CONDITIONS[2 + i % 3]))
    if (prior, condition) != ("conditional", "none")  # which is refused when a model is built
]


@pytest.fixture
def pages(monkeypatch):
    """What the pages of small models hold; the models, and the texts of their stores."""
    found = []
    monkeypatch.setattr("pyrovae.pages.explorer.contents.TRIED", 4)
    for settings in PAGES:
        torch.manual_seed(0)
        vae, config = small_vae(latent_dim=3, components=5, **settings)
        data = small_data(12)
        if hasattr(vae.prior, "initialise"):
            images = data.train.images[:5]
            vae.prior.initialise(data.pixels.read(images), vae.context and context_of(vae, data.train[slice(0, 5)]))
        store = Store()
        shown = contents(SimpleNamespace(vae=vae, data=data, config=config), store)
        found.append(SimpleNamespace(asked=Asked(vae, data.pixels), data=data, shown=shown, text=store.text()))
    return found


def context_of(vae, images):
    return vae.context(images.labels if vae.context.reads == "labels" else images.images.float() / 255)


def given_of(page, i):
    """Picture i as an encoder's arguments, and as a decoder's, but for the code."""
    u, y = page.data.test.images[i : i + 1].float() / 255, {}
    if page.shown["condition"] == "labels":
        y = {"y": page.asked.vae.context(page.data.test.labels[i : i + 1])}
    return {"u": u} | y, {"u": u} if page.shown["condition"] == "images" else y


@needs_node
def test_pages_of_all_priors_posteriors_networks_and_conditions_answer_as_pytorch_does(pages):
    wanted, cases = [], []
    for page in pages:
        assert json.loads(json.dumps(page.shown, allow_nan=False))["latent"] == 3
        assert page.shown["draws"]["columns"] == 3
        for i in range(2):
            encoded, context = given_of(page, i)
            with seeded(0), torch.no_grad():
                answers = page.asked.encode(**encoded)
            decoded = {"z": answers["mean"]} | context
            cases.append([page.text, page.shown["encoder"], [listed(encoded)]])
            cases.append([page.text, page.shown["decoder"], [listed(decoded)]])
            with torch.no_grad():
                wanted += [answers, page.asked.decode(**decoded)]
    for i, (want, (got,)) in enumerate(zip(wanted, node(cases), strict=True)):
        for key, tensor in want.items():
            off = (got[key] - tensor.flatten()).abs().max()
            assert off < max(CLOSE, 2 * may_change(want)[key]), (PAGES[i // 4], key)


def test_decode_is_the_mean_image_that_the_model_shows():
    for condition in ("none", "label", "quadrant1"):
        asked, codes, pictures = asked_of(condition=condition, likelihood="poisson", posterior="full")
        images = asked.decode(**codes)["image"]
        y = codes.get("y") if condition == "label" else asked._read(codes["u"]) if "u" in codes else None
        assert torch.allclose(images, asked.pixels.to_unit(asked.vae.decode(codes["z"], y)))
        q = asked.vae.encode(asked._read(pictures["u"]), y)
        found = asked.encode(**pictures)
        assert torch.allclose(found["mean"], q.mean)
        assert torch.allclose(found["factor"] @ found["factor"].mT, q.covariance_matrix, atol=1e-6)


def test_a_posterior_without_a_known_mean_is_told_by_draws():
    asked, _, pictures = asked_of(posterior="flow")
    one = rows(pictures, 0)
    with seeded(0):
        found = asked.encode(**one)
    drawn = asked.vae.encode(one["u"]).sample((4000,))
    assert found["draws"].shape == (100, 1, 3)
    assert ((found["mean"] - drawn.mean(0)).abs() < 5 * drawn.std(0) / 10).all()


# --- operations one by one ---


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(36, 4, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x, need_weights=False)[0]


LAYERS = {
    "attention": nn.Sequential(nn.Flatten(2), Attending()),
    "max_pool": nn.MaxPool2d(3, 2, 1),
    "avg_pool": nn.AvgPool2d((2, 3), stride=1),
    "adaptive": nn.AdaptiveAvgPool2d(2),
    "instance_norm": nn.InstanceNorm2d(4, affine=True),
    "layer_norm": nn.LayerNorm([6, 6]),
    "group_norm": nn.GroupNorm(2, 4),
    "batch_norm": nn.BatchNorm2d(4, affine=False).eval(),
    "grouped": nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, bias=False),
    "transposed": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    "line": nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 3, 5, padding=2)),
    "reflected": nn.ReflectionPad2d(2),
    "padded": nn.ConstantPad2d((1, 0, 2, 1), 3.0),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "mish": nn.Mish(),
    "hardswish": nn.Hardswish(),
    "prelu": nn.PReLU(),
    "softmax": nn.LogSoftmax(1),
    "shuffle": nn.PixelShuffle(2),
}

FUNCTIONS = {
    "scaled sum": lambda x: torch.add(x, x.cos(), alpha=0.5) - 2,
    "folds": lambda x: x.amax((1, 2), keepdim=True) - x.amin(3, keepdim=True) + x.std() + x.prod(1, keepdim=True),
    "places": lambda x: x.flip(3).roll(1, 2)[:, [2, 0], ..., 1:4].tril(),
    "choice": lambda x: torch.where((x > 0) & ~(x > 1), x, x.new_full((), 7.0)).clamp(max=5),
    "bounds": lambda x: x.clamp(-0.5, 0.5).floor() + torch.maximum(x, x.mean()) + x.round(),
    "numbers": lambda x: (x > 0).int() + (2 * x).long() + torch.ones_like(x) + 2**x,
    "written": lambda x: x.new_zeros(1, 4, 6, 6).index_put((torch.tensor([0]), torch.tensor([1])), x[0, 2][None]),
    "matrices": lambda x: x @ x.mT + torch.baddbmm(x[0], x[0], x[0], alpha=0.5),
    "truth": lambda x: (x > 0).float() * ((x < 1) | (x > 2)).double() + x.isnan(),
}


def program_of(function, x):
    """A function as a program for the page; its store's text, and its steps."""
    program = trace("a function", lambda x: {"answer": function(x)}, 0, x=x)
    held, _ = rounded(program, [[x]], {"answer": 1e-5})
    store = Store()
    return Steps("a function", program, held, OPERATIONS, store, x).told(), store


@pytest.fixture(scope="module")
def operations():
    """Small functions as programs, and what PyTorch answers."""
    torch.manual_seed(0)
    x, found = torch.randn(1, 4, 6, 6), {}
    for name, function in (LAYERS | FUNCTIONS).items():
        told, store = program_of(function, x)
        with torch.no_grad():
            found[name] = ([store.text(), told, [listed({"x": x})]], function(x))
    return found


@needs_node
def test_operations_do_in_javascript_what_they_do_in_torch(operations):
    found = node([case for case, _ in operations.values()])
    for (name, (_, wanted)), ((answer,)) in zip(operations.items(), found):
        assert torch.allclose(answer["answer"], wanted.float().flatten(), atol=2e-5, rtol=2e-5), name


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.cumsum(1), "operations that the page can do, got cumsum"),
        (lambda x: x if x.sum() > 0 else -x, "operations do not depend on values, got"),
        (lambda x: x[0, 0][(10 * x[0, 0, 0]).long().clamp(0, 5)], "at places that depend on its input"),
        (lambda x: F.conv3d(x[None], x.new_ones(1, 1, 1, 1, 1)), "a convolution of 3 dimensions"),
        (lambda x: F.max_pool2d(x, 4, 3, ceil_mode=True), "windows that are cut off"),
        (lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), "does not count its padding"),
        (lambda x: F.batch_norm(x.view(2, 2, 6, 6), None, None, training=True), "normalisation by a batch"),
        (lambda x: torch.addmm(x[0, 0], x[0, 0], x[0, 1], beta=2), "with factors"),
    ],
)
def test_what_the_page_cannot_do_is_refused_by_name(function, reason):
    with pytest.raises(InputError, match=reason):
        program_of(function, torch.randn(1, 4, 6, 6))


def test_a_model_that_decodes_to_no_numbers_is_refused():
    asked, codes, pictures = asked_of()
    nn.init.constant_(asked.vae.decoder.body[-1].bias, float("nan"))
    with pytest.raises(InputError, match="a decoder that returns finite numbers, got others in its image"):
        export(asked, Store(), 0, codes["z"], {}, pictures)


# --- what a file holds ---


def test_weights_that_never_count_are_held_for_nothing():
    """Of a model of quadrants: those of the context that is not seen, and those of pixels that it shows again."""
    asked, _, pictures = asked_of(condition="quadrant1", hidden=(32,))
    program = trace("an encoder", asked.encode, 0, **rows(pictures, 0))
    held, changes = rounded(program, [[pictures["u"][i : i + 1]] for i in range(3)], MAY_CHANGE)
    (weights,) = [one.whole for one in held.values() if isinstance(one, Rounded)]  # (pixels and context, hidden)
    used = weights.any(1)
    assert used[:64].all()
    assert not used[64:].any()  # 48 are not seen, 16 are seen already
    assert 0 < changes["mean"] <= MAY_CHANGE["mean"]


def test_a_tensor_that_no_rounding_suits_stays_as_it_is():
    x, weight = torch.ones(1, 2048), torch.randn(2048, 2)
    program = trace("a function", lambda x: {"answer": 1e6 * (x @ weight)}, 0, x=x)
    held, changes = rounded(program, [[x]], {"answer": 1e-9})
    assert changes == {"answer": 0}
    assert not any(isinstance(one, Rounded) for one in held.values())


# --- the page ---


def contents_of(page):
    return json.loads(re.search(r'id="contents">(.*?)</script>', page, re.DOTALL)[1])


def test_a_run_becomes_one_file_that_loads_nothing(world, capsys):
    assert pyrovae("explore run") == 0
    page = (world / "run/explore.html").read_text()
    assert re.fullmatch(r"run/explore.html: 0\.\d MB\n", capsys.readouterr().out)
    assert not re.search(r"https?://|\b(?:src|href)=|@import|url\(", page)
    for name in ("script", "style"):
        text = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        (content,) = text
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page
    told = contents_of(page)
    assert sorted(told["order"]) == [*range(told["latent"])]
    assert told["order"] == sorted(told["order"], key=lambda d: -told["amounts"][d])


def test_names_of_a_run_are_words_and_never_markup(world):
    wild = '</script><script>alert("x")</script>{{title}}'
    shutil.copytree("label", "<b>run&")
    run = Run("<b>run&", dataset="npz:labelled.npz")
    run.__dict__["_about"] = SimpleNamespace(**(vars(run._about) | {"classes": (wild, "b", "c")}))
    page = explore(run)
    assert page.count("<script") == 3
    assert "<title>&lt;b&gt;run&amp; – latent space" in page
    assert contents_of(page)["classes"][0] == wild


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("explore nowhere", "run: expected a run folder"),
        ("explore bare", "expected model.safetensors"),
        ("explore run --out page.png", "out: expected a file that ends in .html"),
        ("explore run --out folder/page.html", "out: expected a folder at"),
        ("explore run --out taken.html", "already exists; expected --force"),
    ],
)
def test_bad_calls_in_one_line(line, reason, world, capsys):
    (world / "taken.html").touch()
    assert pyrovae(line) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert told.count("\n") == 1


def test_a_file_elsewhere_and_a_new_training_that_drops_the_old_page(world):
    (world / "taken.html").touch()
    assert pyrovae("explore unfinished --out taken.html --force") == 0
    assert (world / "taken.html").stat().st_size > 10_000
    (world / "run/explore.html").touch()
    assert pyrovae("train --out run --epochs 1 --force --hidden 16 --device cpu --no-figures") == 0
    assert not (world / "run/explore.html").exists()


def test_codes_that_are_no_numbers_are_refused(world):
    run = Run("run")
    nn.init.constant_(run.vae.posterior.head.bias, float("nan"))
    with pytest.raises(InputError, match="expected a model that encodes test images, got: "):
        explore(run)


def test_a_page_that_is_too_large_is_refused(world, monkeypatch):
    monkeypatch.setattr("pyrovae.pages.explorer.MOST", 1000)
    with pytest.raises(InputError, match=r"expected a page of at most 0 MB, got one of 0 MB"):
        explore(Run("run"))


# --- in a real browser ---

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the page with")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture
def browser():
    """Opens a page without a network, and fails if anything was said in its console."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[browser]'")
    said = []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def opened(path, **settings):
            page = chromium.new_context(offline=True, **settings).new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: said.append(request.url) if request.url != url else None)
            url = path.absolute().as_uri()
            page.goto(url)
            settled(page)
            return page

        yield opened
        chromium.close()
    assert not said


def settled(page):
    for _ in range(200):
        if page.evaluate("!!state.image && !asked && !tiles.left.length"):
            return
        page.wait_for_timeout(20)
    raise AssertionError("the page did not come to rest")


def state_of(page):
    settled(page)
    script = """() => ({hover: state.hover && [...state.hover], code: [...state.code], image: [...state.image],
        label: state.label, picture: [...state.picture], number: state.number,
        mean: state.posterior && [...state.posterior.mean], ellipse: state.posterior && ellipse(state.posterior)})"""
    return SimpleNamespace(**page.evaluate(script))


def middle_of(page, name, across=0.5, up=0.5):
    box = page.locator(name).bounding_box()
    return box["x"] + across * box["width"], box["y"] + up * box["height"]


def expect_decoded(run, state, y=None):
    """The page's image is PyTorch's for its code."""
    z = torch.tensor([state.hover or state.code])
    image = run.pixels.to_unit(run.vae.decode(z, y))
    assert (torch.tensor(state.image) - image.flatten()).abs().max() < CLOSE


@needs_browser
def test_the_page_decodes_where_the_pointer_is(world, browser):
    assert (
        pyrovae("train --out plane --epochs 2 --latent-dim 2 --posterior full --hidden 32 --no-figures --device cpu")
        == 0
    )
    assert pyrovae("explore plane") == 0
    run, page = Run("plane"), browser(world / "plane/explore.html")
    first = state_of(page)
    x = torch.tensor(first.picture).float().view(1, 1, 8, 8)
    q = run.vae.encode(x)
    assert first.number == 0
    assert torch.allclose(torch.tensor([first.mean]), q.mean, atol=3e-4)
    lengths = torch.linalg.eigvalsh(q.covariance_matrix[0]).sqrt()
    assert torch.allclose(torch.tensor([first.ellipse["short"], first.ellipse["long"]]), lengths, atol=3e-4)
    expect_decoded(run, first)

    page.mouse.move(*middle_of(page, "#plane", 0.2, 0.7))
    hovering = state_of(page)
    assert hovering.hover[0] < first.code[0] or hovering.hover[1] < first.code[1]
    assert hovering.code == first.code
    expect_decoded(run, hovering)
    page.mouse.click(*middle_of(page, "#plane", 0.8, 0.3))
    page.mouse.move(5, 5)
    clicked = state_of(page)
    assert clicked.hover is None
    assert clicked.code[0] > hovering.hover[0]
    assert clicked.code[1] > hovering.hover[1]
    expect_decoded(run, clicked)

    page.keyboard.press("ArrowRight")
    pressed = state_of(page)
    assert pressed.code[0] > clicked.code[0]
    expect_decoded(run, pressed)
    for button in ("#random", "#middle"):
        page.click(button)
        expect_decoded(run, state_of(page))

    page.click("#clear")
    assert set(state_of(page).picture) == {0}
    page.mouse.move(*middle_of(page, "#picture", 0.5, 0.2))
    page.mouse.down()
    page.mouse.move(*middle_of(page, "#picture", 0.5, 0.8), steps=4)
    page.mouse.up()
    drawn = state_of(page)
    picture = torch.tensor(drawn.picture).float().view(1, 1, 8, 8)
    assert drawn.number == -1
    assert picture[0, 0, 2:6, 3:5].mean() > 0.8
    assert picture[0, 0, :, 0].sum() == 0
    assert torch.allclose(torch.tensor([drawn.code]), run.vae.encode(picture).mean, atol=3e-4)
    expect_decoded(run, drawn)
    page.click("#fit")
    fitted, (usual, now) = state_of(page), page.evaluate("[usualPlace(), placeOf(state.picture)]")
    assert abs(now["x"] - usual["x"]) < 0.5
    assert abs(now["y"] - usual["y"]) < 0.5
    assert abs(now["side"] - usual["side"]) < 1.5
    expect_decoded(run, fitted)
    page.click("#erase")
    page.mouse.click(*middle_of(page, "#picture"))
    assert sum(state_of(page).picture) < sum(fitted.picture)


@needs_browser
def test_a_class_is_pressed_and_a_slider_moved(world, browser):
    settings = "--dataset npz:labelled.npz --condition label --latent-dim 16 --epochs 1 --hidden 16 --device cpu"
    assert pyrovae(f"train --out wide {settings} --no-figures") == 0
    assert pyrovae("explore wide") == 0
    run, page = Run("wide"), browser(world / "wide/explore.html", color_scheme="dark")
    before = state_of(page)
    expect_decoded(run, before, torch.tensor([before.label]))
    page.locator("#classes label", has_text="bee").click()
    after = state_of(page)
    assert after.code == before.code
    assert run.classes[after.label] == "bee"
    expect_decoded(run, after, torch.tensor([after.label]))
    page.locator(".slider input").first.press("ArrowRight")
    moved = state_of(page)
    assert sum(a != b for a, b in zip(moved.code, after.code)) >= 1
    expect_decoded(run, moved, torch.tensor([moved.label]))
    assert page.locator(".slider").count() == 12
    page.click("#more")
    assert page.locator(".slider").count() == 14
    page.check("#manifold")
    page.select_option("#across", index=2)
    expect_decoded(run, state_of(page), torch.tensor([moved.label]))


@needs_browser
def test_a_phone_has_the_plane_within_its_width_and_a_finger_moves_the_code(world, browser):
    assert pyrovae("explore quadrant1 --dataset npz:labelled.npz") == 0
    run = Run("quadrant1", dataset="npz:labelled.npz")
    page = browser(world / "quadrant1/explore.html", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    before = state_of(page)
    page.locator("#strip button").nth(3).tap()
    picked = state_of(page)
    assert (before.number, picked.number) == (0, 3)
    page.locator("#plane").scroll_into_view_if_needed()
    page.touchscreen.tap(*middle_of(page, "#plane", 0.3, 0.8))
    tapped = state_of(page)
    assert tapped.code != picked.code
    expect_decoded(run, tapped, torch.tensor(tapped.picture).float().view(1, 1, 8, 8))


@needs_browser
def test_a_line_and_a_posterior_that_is_a_point_are_shown_too(world, browser):
    assert (
        pyrovae("train --out line --epochs 1 --latent-dim 1 --posterior delta --hidden 16 --device cpu --no-figures")
        == 0
    )
    assert pyrovae("explore line") == 0
    page = browser(world / "line/explore.html")
    assert "no width" in page.inner_text("#code")
    page.mouse.move(*middle_of(page, "#plane", 0.3, 0.1))
    expect_decoded(Run("line"), state_of(page))
