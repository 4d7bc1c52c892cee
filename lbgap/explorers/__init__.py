"""Sliders over the stored results that work in Jupyter, in Colab and in the published page, which has no kernel."""

from lbgap.explorers.ball import BallExplorer
from lbgap.explorers.batch_size import BatchSizeExplorer
from lbgap.explorers.epsilon import EpsilonExplorer
from lbgap.explorers.live import LiveLaboratory
from lbgap.explorers.path import PathExplorer
from lbgap.explorers.scaling import ScalingExplorer
from lbgap.explorers.scoreboard import ScoreboardExplorer
from lbgap.explorers.sweep import SweepExplorer
