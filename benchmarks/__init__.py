"""`python -m benchmarks`: what the course claims about speed and memory, measured beside its
peers in one run."""
