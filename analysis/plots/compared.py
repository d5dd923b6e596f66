"""What figures of comparisons take: the settings of the comparison, and how the figure looks."""

from ..compare.comparison import Settings
from .appearance import Appearing, Paneled


class ComparedLook(Settings, Appearing, total=False):
    """Keyword arguments of figures of comparisons: see ``Comparison`` and ``Appearance``."""


class ComparedPanels(Settings, Paneled, total=False):
    """Keyword arguments of those that have columns: see ``Comparison`` and ``PanelAppearance``."""
