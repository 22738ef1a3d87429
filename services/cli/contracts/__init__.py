"""The contracts with other teams, generated from the code into ``docs/contracts``."""
