"""Finding anomalies in images with GANs: one honest protocol, many methods, known anomalies as a kind of fake."""

__version__ = "0.1.0"
