"""What the options say of a model, as facts. Knows no Keras and no other option."""

from pydantic import ValidationError

from models.card import ModelFileError
from models.specification import Facts
from service.model_files.labels import read_labels
from service.settings import ModelSettings


def facts_of(settings: ModelSettings) -> Facts:
    """What `settings` say of every model that is served. Raises ModelFileError for labels that cannot be read.

    And for options that contradict each other.
    """
    if settings.labels is not None and settings.class_names:
        raise ModelFileError("--class-names and --labels both name the classes; give one of them")
    names = read_labels(settings.labels) if settings.labels else settings.class_names
    if len(names) == 1:
        raise ModelFileError(
            f"--class-names has the one name {names[0]!r:.60}; a model has two classes at least, also where it has one "
            "output value: that is the probability of the second"
        )
    height, _, width = (settings.image_size or "").partition("x")
    try:
        return Facts(
            name=settings.model_name,
            class_names=names or None,
            head=settings.head,
            output=settings.output,
            label_threshold=settings.label_threshold,
            image_size=(int(height), int(width or height)) if height else None,
            channel_order=settings.channel_order,
            fit=settings.fit,
            interpolation=settings.interpolation,
            pixels=settings.pixels,
        )
    except ValidationError as error:
        raise ModelFileError(f"the options do not go together: {error.errors()[0]['msg']}") from error
