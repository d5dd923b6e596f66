"""Prints pip's constraints: each package that pyproject.toml names, in the oldest series it allows.

``make test-oldest`` runs the tests with these. KEEP names packages that are to be as new as ever,
where the package index lacks the old ones: ``make test-oldest KEEP="torch torchvision"``.
"""

import os
import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
keep = os.environ.get("KEEP", "").split()
for requirement in {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]}:
    found = re.match(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", requirement)
    if found and found[1] not in keep:
        print(f"{found[1]}=={found[2]}.*")
