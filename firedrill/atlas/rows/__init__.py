"""The rows. A module for each side that decides the answer, and for what is alike so far."""

from . import clients, poolers, postgres, texts

__all__ = ["clients", "poolers", "postgres", "texts"]
