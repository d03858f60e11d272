"""Callbacks for ``learn`` and ``teamnet train --callback``: evaluation, early ends, and loggers.

``from teamnet.callbacks import Callback`` is the class that your own are derived from.
"""

from teamnet.callbacks.evaluation import Evaluation
from teamnet.callbacks.loggers import CsvLogger, MlflowLogger, TensorBoardLogger, WandbLogger
from teamnet.callbacks.stopping import StopAtReturn, StopWithoutImprovement
from teamnet.training.callback import Callback
from teamnet.training.progress_bar import ProgressBar

__all__ = [
    "Callback", "CsvLogger", "Evaluation", "MlflowLogger", "ProgressBar", "StopAtReturn", "StopWithoutImprovement",
    "TensorBoardLogger", "WandbLogger",
]
