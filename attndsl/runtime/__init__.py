"""Running kernels: the only stage that knows torch.

It builds kernels, calls them, and holds the reference backend.
"""
