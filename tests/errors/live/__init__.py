"""Errors raised live for newer entries: a module for each topic, a function for each entry."""
