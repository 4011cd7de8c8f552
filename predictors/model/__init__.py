"""A fitted predictor: people's rows in, natural units out."""

from predictors.model.fitted import Model
from predictors.model.mean_function import Base
from predictors.model.prediction import Prediction

__all__ = ["Base", "Model", "Prediction"]
