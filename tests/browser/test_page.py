"""The report page in a real browser: headless Chromium, wide and narrow, light and dark."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from teamnet.cli.main import main
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.rates import Precision
from teamnet.study.scaling.session import run_scaling
from teamnet.training.saving import Saving
from teamnet.training.session import train
from tests.study.test_plan import USUAL
from tests.study.test_scaling import scaled_points

pytestmark = pytest.mark.browser

_QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
    "--virtual-time-budget=10000", "--allow-file-access-from-files",
)
_HEIGHT = 4200
CHARTS = 9
"""Learning, two of the return, edges, a network, times, two of scaling, and the plan."""
_PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  const drawn = [...document.querySelectorAll(".view")].filter(its => its.querySelector("svg.marks"));
  document.body.dataset.drawn = drawn.length;
  document.body.dataset.wide = document.documentElement.scrollWidth;
  const filling = [...document.querySelectorAll(".chart:not(.wide) svg.marks")];
  document.body.dataset.figures = Math.max(...filling.map(its => its.clientWidth));
  const filter = document.getElementById("filter"), rows = () => document.querySelectorAll("#runs-table tbody tr");
  for (const box of [0, 1]) rows()[box].querySelector("input").click();
  document.body.dataset.differ = document.querySelectorAll("#comparison .differs").length;
  const columns = [...document.querySelectorAll("#runs-table th button")];
  const order = columns.find(its => its.textContent === "bytes per step");
  order.click();
  document.body.dataset.first = rows()[0].textContent.includes("frugal") ? 1 : 0;
  order.click();
  document.body.dataset.last = rows()[1].textContent.includes("frugal") ? 1 : 0;
  filter.value = "frugal cartpole";
  filter.dispatchEvent(new Event("input"));
  document.body.dataset.found = rows().length;
  if (parent !== window) parent.document.body.dataset.frame = JSON.stringify(document.body.dataset);
}, 3000));
</script>
</body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for method in ("map", "frugal"):
        spec = replace(preset("cartpole", method), hidden=(5, 4), env_steps=2000, episodes=None)
        train(spec, LaunchSpec("local"), folder / method, saving=Saving(10**9))
    run_scaling(
        "cartpole", "batch", scaled_points(), lambda: USUAL, Precision(0.01, 1), measured=True,
        out=folder / "scale", say=lambda message: None,
    )
    with pytest.raises(SystemExit):
        main(["report", str(folder), "--out", str(folder / "report.html")])
    page, _, end = (folder / "report.html").read_text().rpartition("</body>")  # the scripts have the word too
    (folder / "probed.html").write_text(page + _PROBE + end)
    return folder / "probed.html"


def _browse(page: Path, folder: Path, width: int, *more: str) -> subprocess.CompletedProcess[str]:
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    assert browser, "these tests need Chromium: apt-get install chromium"
    own = (f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{_HEIGHT}")
    return subprocess.run(
        [browser, *_QUIET, *own, *more, page.as_uri()],
        capture_output=True, text=True, timeout=180, check=False,
    )


def _data(dom: str) -> dict[str, int]:
    body = re.search(r"<body([^>]*data-[^>]*)>", dom)
    assert body
    text = body.group(1).replace("&quot;", '"')
    return {name: int(value) for name, value in re.findall(r'"?(?:data-)?([a-z]+)"?[=:]"?(\d+)', text)}


def test_every_figure_is_drawn_without_a_word_on_the_console(page: Path, tmp_path: Path):
    done = _browse(page, tmp_path, 1280, "--dump-dom")
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    data = _data(done.stdout)
    assert data["drawn"] == CHARTS
    assert data["wide"] <= 1280
    assert data["figures"] > 900
    # frugal changes the schedule, the settle steps, and four rates
    assert (data["differ"], data["first"], data["last"], data["found"]) == (6, 1, 1, 1)


def test_at_400_pixels_nothing_is_wider_than_the_page(page: Path, tmp_path: Path):
    frame = page.parent / "narrow.html"
    frame.write_text(f'<body><iframe src="{page.name}" style="width:400px;height:3200px;border:0"></iframe></body>')
    done = _browse(frame, tmp_path, 800, "--dump-dom")
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    data = _data(done.stdout)
    assert data["drawn"] == CHARTS
    assert data["wide"] <= 400
    assert 300 < data["figures"] <= 400


@pytest.mark.parametrize(("dark", "low", "high"), [(False, 200, 256), (True, 0, 60)])
def test_the_ground_is_light_or_dark_and_text_stands_out(
    page: Path, tmp_path: Path, dark: bool, low: int, high: int
):
    shot = tmp_path / "shot.png"
    scheme = ("--blink-settings=preferredColorScheme=0",) if dark else ("--blink-settings=preferredColorScheme=1",)
    _browse(page, tmp_path, 1280, *scheme, f"--screenshot={shot}")
    pixels = np.asarray(Image.open(shot).convert("L"), float)
    ground = np.median(pixels)
    assert low <= ground < high
    assert np.abs(pixels - ground).max() > 150, "text and lines stand out"
    heading = pixels[:120]
    assert np.abs(heading - ground).max() > 150
