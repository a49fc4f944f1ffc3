"""What there is to look at: pictures, curves, the algorithm as a diagram, films."""
