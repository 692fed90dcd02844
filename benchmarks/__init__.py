"""`python -m benchmarks`: what the course claims about speed and memory, measured alongside its
peers in one run."""
