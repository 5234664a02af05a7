"""Exports promptable video segmentation models (EdgeTAM, SAM 2.1) to masklet bundles.

The bundle format is described in docs/bundle-format.md. Run ``python -m masklet_export --help``.
"""

EXPORTER_VERSION = "1"
