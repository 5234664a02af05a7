"""Trains the small reference model on procedurally made video.

``scenes`` draws, ``data`` batches, ``model`` makes the exporter's components trainable, ``step``
computes a clip as the tracker does, ``loop`` trains, ``evaluate`` scores.
"""
