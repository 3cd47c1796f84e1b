"""Measures this product against something else in the same run, on the same machine."""
