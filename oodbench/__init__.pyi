"""The public names of ``oodbench``: see ``api.pyi``."""

from .api import *  # noqa: F403

__version__: str
