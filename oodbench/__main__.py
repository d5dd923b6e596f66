"""``python -m oodbench`` is ``oodbench``."""

from oodbench.cli import main

main()
