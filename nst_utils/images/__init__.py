"""Pictures: from a file to a tensor and back, whatever the file holds."""
