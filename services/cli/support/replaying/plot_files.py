"""Files of plots: SVG, or PNG with the extra `plot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from services.replay.plots.drawing import Drawing
from services.replay.plots.svg import svg
from shared.errors import ConfigurationError, InvalidInput

PlotWriter = Callable[[Drawing], None]


def plot_writer(file: Path) -> PlotWriter:
    """Return the writer of a drawing to a file, in the format of its name.

    Raises
    ------
    InvalidInput
        The name ends with no format of a plot.
    ConfigurationError
        The format needs a missing package.
    """
    renderer = _RENDERERS.get(file.suffix.lower())
    if renderer is None:
        raise InvalidInput(f"--plot takes a file ending with {' or '.join(_RENDERERS)}, not {file}")
    render = renderer()
    return lambda drawing: _write(file, render(drawing))


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror or error}") from error


def _svg_renderer() -> Callable[[Drawing], bytes]:
    return lambda drawing: svg(drawing).encode()


def _png_renderer() -> Callable[[Drawing], bytes]:
    try:
        from services.replay.plots.png import png
    except ImportError as error:
        raise ConfigurationError(
            "a plot as PNG needs the package pillow: pip install 'exitflow[plot]', or name a file ending with .svg"
        ) from error
    return png


_RENDERERS: Final[Mapping[str, Callable[[], Callable[[Drawing], bytes]]]] = {
    ".svg": _svg_renderer,
    ".png": _png_renderer,
}
