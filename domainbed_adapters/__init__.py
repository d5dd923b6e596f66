"""The datasets that oodbench can be asked for, one family a file, found by entry point."""
