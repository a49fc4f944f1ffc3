"""How it is minimized: L-BFGS or Adam, from coarse to fine, step by step."""
