"""What others compare instead of Gram matrices, from the years after the paper."""
