"""Datasets, batches and augmentation."""

from .augmentation import random_shift
from .dataset import Dataset, Subset, TensorDataset, random_split
from .loader import DataLoader, default_collate

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_shift",
    "random_split",
]
