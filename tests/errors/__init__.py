"""Proofs of the error index as a whole: pastes, public texts, adverse input, and the tools on top."""
