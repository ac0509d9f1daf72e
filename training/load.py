"""What `--data` names, as a Split. Knows no network."""

from pathlib import Path

from rich.console import Console

from models.card import ImageInput
from training.data import Split, load_fashion_mnist, load_mnist
from training.data_remarks import tell_imbalance
from training.folder import load_folder
from training.settings import TrainingSettings

DEFAULT_IMAGE_SIZE = 28


def load(settings: TrainingSettings, console: Console, taken: ImageInput | None = None) -> Split:
    """What `--data` names, people's own images in the form that a network on a base takes, if there is one.

    What is doubtful of these is told on `console`. Raises DataError.
    """
    if settings.data == "fashion-mnist":
        return load_fashion_mnist(settings.data_dir, settings.validation_share, settings.seed)
    if settings.data == "mnist":
        return load_mnist(settings.validation_share, settings.seed)
    if taken is None:
        edge = settings.image_size or DEFAULT_IMAGE_SIZE
        taken = ImageInput(
            height=edge, width=edge, channels=settings.channels or 1, scale=1 / 255, fit=settings.fit or "pad"
        )
    split = load_folder(Path(settings.data), taken, settings.validation_share, settings.seed, console)
    if settings.class_weights == "none":
        tell_imbalance(console, split.training_labels, split.class_names)
    return split
