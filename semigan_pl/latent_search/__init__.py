"""Inversion of generators: the latent whose image comes closest to a given one."""

from semigan_pl.latent_search.engine import LatentSearch, PreparedSearch
from semigan_pl.latent_search.freezing import frozen
from semigan_pl.latent_search.objective import SearchResult, filled

__all__ = ["LatentSearch", "PreparedSearch", "SearchResult", "filled", "frozen"]
