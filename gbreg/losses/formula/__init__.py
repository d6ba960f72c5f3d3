"""A formula as a loss: read against a whitelist, differentiated by sympy, compiled to the same kernels as a class.

It may come from a saved file, so it is never evaluated: Python's `ast` reads it, and only the nodes, names and sizes
allowed in reading.py become sympy objects. sympy is imported when a formula is first compiled.
"""
