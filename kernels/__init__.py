"""Array-level work of the gates that no single library call does.

The modules here take and return raw arrays, of NumPy or of CuPy, and know nothing of tensors or
of the tape: `convolution` and `pooling` work on images in NCHW layout, `selection` chooses
between two arrays, `scans` and `sorting` work along a dimension, `memory` advises the C library.
Nothing is imported until a gate asks for it.
"""
