"""Figures of any extractor and matcher on pairs whose truth is known."""
