"""Figures as the content of a PNG file, which whoever draws them need not write."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def as_png(figure: Figure, dpi: int = 120) -> bytes:
    """The content of a PNG file; the figure is closed."""
    import matplotlib.pyplot as plt  # late: most commands draw nothing

    content = BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    plt.close(figure)
    return content.getvalue()
