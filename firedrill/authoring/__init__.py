"""What `make` runs: set-up, notebooks, README."""
