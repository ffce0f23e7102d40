"""Images to feature vectors, for detectors that know nothing of images."""
