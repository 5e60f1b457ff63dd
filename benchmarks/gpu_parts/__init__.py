"""What `benchmarks/gpu.py` measures, a file for each part; that command runs them."""
