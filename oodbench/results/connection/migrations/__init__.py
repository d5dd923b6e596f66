"""How older databases become current ones; run by ``oodbench.results.connection.migrate``."""
