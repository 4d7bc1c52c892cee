"""The campaign: which units the paper's tables and figures need, and computing those that the store lacks.

`scales`: batch sizes, data sets, stopping rules. `units`: what is measured. `experiments`: which units a table needs.
`treatments`: how each remedy is tried. `measurements`: one function a kind of unit. `cost`: how long they take.
`order`: which come first. `workers`: who computes them.
"""

from .order import wanted
from .workers import end_with_parent, failure, run
