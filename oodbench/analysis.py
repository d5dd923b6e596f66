"""The package ``analysis`` under a name that no file of the user's can hide.

``analysis.py`` is the commonest name of a script in research: beside one, ``import analysis`` finds
that script. So oodbench itself never imports by that name, and finds its own copy by its path.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

from oodbench.siblings import sibling

if TYPE_CHECKING:
    from analysis import *  # noqa: F403
else:
    folder = sibling("analysis")
    spec = spec_from_file_location(
        __name__, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    sys.modules[__name__] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
