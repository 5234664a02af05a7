"""The PyTorch baseline: transformers' EdgeTamVideo and Sam2Video on the jobs that `masklet baseline` writes."""

VERSION = "1"
