"""The tables of DomainBed, from its own logs or from a database."""
