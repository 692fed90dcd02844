"""Proofs of `make site`: the box answers as Python does, and the built pages hold what they say."""
