"""Layers and losses, one family to a file; `tapegrad.nn` gathers them."""
