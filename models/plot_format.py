"""The formats of plots; a file of its own, so that who only names them needs no Matplotlib."""

from typing import Literal

PlotFormat = Literal["png", "svg"]
