"""Figures by Matplotlib, as the content of PNG files."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F3C8D", "#8a9a1a",
    "#A50F4F",
)
"""Okabe and Ito's palette for colour-blind readers, with brown for its yellow; then violet, olive and crimson."""


def new_figure(count: int, columns: int, width: float, height: float, **settings: Any) -> tuple[Figure, np.ndarray]:
    """A figure with some panels.

    Args:
        count: the number of panels.
        columns: the maximum number of panels in a line.
        width, height: of a panel, in inches.
        settings: of ``matplotlib.pyplot.subplots``.

    Returns:
        The figure, and its axes ``(lines, columns)``; those beyond ``count`` are not visible.
    """
    import matplotlib as mpl  # imported here: most commands draw nothing

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(columns, count)
    lines = -(-count // columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(width * columns, height * lines), squeeze=False, layout="constrained", **settings
    )
    for number, axes in enumerate(panels.flat):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_visible(number < count)
    return figure, panels


def as_png(figure: Figure, dpi: int = 120) -> bytes:
    """The content of a PNG file without an alpha channel; the figure is closed."""
    import matplotlib.pyplot as plt
    from PIL import Image

    drawn, content = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    plt.close(figure)
    # not as a palette, which would merge the light colours of bands
    Image.open(drawn).convert("RGB").save(content, "PNG", optimize=True)
    return content.getvalue()
