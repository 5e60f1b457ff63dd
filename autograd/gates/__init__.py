"""The primitives, one family per file; `Gate.all` lists every gate by name."""
