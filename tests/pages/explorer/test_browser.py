"""The explorer's page in a real browser."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from support.commands import pyrovae
from support.explorer import CLOSE

from pyrovae.runs.run import Run

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium to open the page with")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture
def browser():
    """Opens a page without a network; fails if the page loads anything or writes to its console."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install -e '.[browser]'")
    messages = []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def opened(path, **settings):
            page = chromium.new_context(offline=True, **settings).new_page()
            page.on("console", lambda message: messages.append(message.text))
            page.on("pageerror", lambda error: messages.append(str(error)))
            page.on("request", lambda request: messages.append(request.url) if request.url != url else None)
            url = path.absolute().as_uri()
            page.goto(url)
            settled(page)
            return page

        yield opened
        chromium.close()
    assert not messages


def settled(page):
    for _ in range(200):
        if page.evaluate("!!state.image && !frameRequested && !tiles.left.length"):
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
    """Assert that the page shows what PyTorch decodes from the page's code."""
    z = torch.tensor([state.hover or state.code])
    image = run.pixels.to_unit(run.vae.decode(z, y))
    assert (torch.tensor(state.image) - image.flatten()).abs().max() < CLOSE


@pytest.fixture
def plane(world, browser):
    """A run with two latent dimensions, and its page."""
    assert pyrovae("train --out plane --epochs 2 --latent-dim 2 --posterior full --hidden 32 --device cpu") == 0
    assert pyrovae("explore plane") == 0
    return Run("plane"), browser(world / "plane/explore.html")


@needs_browser
def test_the_page_decodes_where_the_pointer_is(plane):
    run, page = plane
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


@needs_browser
def test_the_page_encodes_what_is_drawn(plane):
    run, page = plane
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
def test_classes_and_sliders_change_what_is_decoded(world, browser):
    settings = "--dataset npz:labelled.npz --condition label --latent-dim 16 --epochs 1 --hidden 16 --device cpu"
    assert pyrovae(f"train --out wide {settings}") == 0
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
def test_a_code_of_one_dimension_and_a_posterior_without_width_are_shown(world, browser):
    assert pyrovae("train --out line --epochs 1 --latent-dim 1 --posterior delta --hidden 16 --device cpu") == 0
    assert pyrovae("explore line") == 0
    page = browser(world / "line/explore.html")
    assert "no width" in page.inner_text("#code")
    page.mouse.move(*middle_of(page, "#plane", 0.3, 0.1))
    expect_decoded(Run("line"), state_of(page))
