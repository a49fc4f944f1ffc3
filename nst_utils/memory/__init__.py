"""How much memory a run takes, how much there is, and going on with less where it runs out."""
