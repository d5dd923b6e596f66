"""One file for each schema; their order is ``oodbench.results.schema.REVISIONS``."""
