"""What the model says of one image, as its most probable classes in order. Knows no HTTP."""

import math
from typing import Any

from models.card import ModelCard
from service.errors import NoFiniteAnswer
from service.inference.model_runner import ImageScores, labels_of


def prediction_of(scores: ImageScores, card: ModelCard, top_k: int) -> dict[str, Any]:
    """The shape of `service.api.schemas.Prediction`, without the cost of making one. Raises NoFiniteAnswer."""
    row, class_names = scores.probabilities, card.class_names
    if not math.isfinite(sum(row)):
        raise NoFiniteAnswer(
            "the model's probabilities are no finite numbers; see that its pixels are scaled as in the training, and "
            "that what is sent as numbers is finite and small enough for 32 bits"
        )
    order = sorted(range(len(row)), key=row.__getitem__, reverse=True)[:top_k]
    classes = [{"label": class_names[index], "index": index, "probability": min(1.0, row[index])} for index in order]
    prediction = {**classes[0], "familiarity": scores.ood_score, "probabilities": classes}
    if card.head == "multi-label":
        prediction["labels"] = [class_names[index] for index in labels_of(row, card)]
    return prediction
