"""CUDA kernels: texts (`.cu`, `.cuh`) beside the Python that launches them.

`compiling` turns a text into a binary, once, and keeps it on disk; `launching` runs it on a GPU, or
on the emulator of `tapegrad.kernels.emulator`. Nothing here imports CuPy before a launch.
"""
