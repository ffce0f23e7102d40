"""Classical detectors of outliers among feature vectors: numpy, scipy and scikit-learn only, no torch."""
