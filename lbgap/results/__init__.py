"""Results: the store of documents (`store`), carrying them between machines (`bundles`), reading them as arrays
(`arrays`)."""

from . import store
from .store import PACKAGED, Store, check, commit, content_id, finite, former, provenance, read
