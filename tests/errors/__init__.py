"""Proofs of the error index as a whole: pastes, public texts, bad input, the tools on top."""
