"""What sees: VGG-19 and its like, their weights, normalization and pooling."""
