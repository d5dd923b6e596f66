"""For the Python reference: ``oodbench`` has the names that ``oodbench/api.pyi`` lists.

mkdocstrings reads stubs, but not what a stub takes over from another by ``import *``.
"""

from typing import Any

import griffe


class PublicNames(griffe.Extension):
    """Adds them to the package, each as another name of what is documented where it is written."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called when a package was read."""
        if pkg.name == "oodbench":
            for name, member in pkg["api"].members.items():
                if member.is_alias and name not in pkg.members:
                    pkg.set_member(name, griffe.Alias(name, member.target_path, parent=pkg))
