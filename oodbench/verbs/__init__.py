"""What each command does: one file a verb, named like its file in ``oodbench.cli``."""
