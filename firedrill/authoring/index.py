"""Writes firedrill/errors/index.json from the topics' errors.toml: `make index`."""

from ..errors import source

if __name__ == "__main__":
    source.write()
    print(f"{len(source.all_entries())} entries")
