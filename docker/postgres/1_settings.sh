#!/bin/bash
# Run by the image's entry point once, when the data directory is new. The settings go into postgresql.conf, not on the
# server's command line, so that `alter system` overrides them. They count from the start that follows the scripts.
cat "${BASH_SOURCE%/*}/postgresql.conf" >> "$PGDATA/postgresql.conf"
