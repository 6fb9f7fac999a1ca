"""The version of dgbench: the package and the distribution have it from here."""

__version__ = "0.1.0"
