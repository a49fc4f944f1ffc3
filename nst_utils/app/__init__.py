"""The studio: watch and steer a run in a notebook or a browser."""
