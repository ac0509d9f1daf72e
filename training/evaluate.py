"""The command line of the robustness test: how a model file does on images that look like people's own."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from rich.progress import track
from rich.table import Table

from models.card import ImageInput, ModelFileError, Share, read_card
from models.command_line import settings_of, stop
from models.decoding import open_image
from models.image_errors import ImageError
from models.library_notes import library_notes_left_out
from models.ood import OodScorer
from models.preprocessing import prepared_pixels, scaled
from training.errors import DataError, TrainingError
from training.photographs import find_photographs

_PLENTY_OF_PIXELS = 25_000_000


class EvaluationSettings(BaseSettings):
    """Judge a model file by images made from Fashion-MNIST's test set, and by others that show none of it."""

    model_config = SettingsConfigDict(
        env_prefix="EVALUATION_", cli_prog_name="make evaluate", cli_kebab_case=True, cli_hide_none_type=True
    )

    model: Annotated[Path, Field(description="the model file to judge")] = Path("models/best-cnn-model.h5")
    images: Annotated[int, Field(ge=1, le=10_000, description="how many test images each kind is made of")] = 1000
    seed: Annotated[int, Field(ge=0, description="seed of sizes, colours, places and noise")] = 0
    data_dir: Annotated[Path | None, Field(description="folder of the four Fashion-MNIST files")] = None
    ood_images: Annotated[
        Path | None, Field(description="folder of images that show none of the classes, to be tried as well")
    ] = None
    photographs: Annotated[
        Path | None,
        Field(description="folder of real photographs to be tried as well: a subfolder a class, or `one+other`"),
    ] = None
    output: Annotated[Path | None, Field(description="file for the figures as JSON")] = None


class KindFigures(BaseModel):
    """How one kind of images like people's own was answered."""

    accuracy: Share
    agreement: Annotated[Share, Field(description="share of answers that are the same as for the clean image")]


class PhotographFigures(BaseModel):
    """How the real photographs in one folder were answered."""

    photographs: Annotated[int, Field(description="how many could be read")]
    accuracy: Share


class OodFigures(BaseModel):
    """How well images of one kind that show none of the classes are told by their familiarity.

    Both are the chance that an image of a product is more familiar than one of them.
    """

    from_thumbnails: Annotated[Share, Field(description="the image of a product is one of the data set's own")]
    from_photographs: Annotated[Share, Field(description="the image of a product is like people's own")]


class Figures(BaseModel):
    """All that a model file is judged by. Without a card that tells familiarity there are no ood_images."""

    images: Annotated[int, Field(description="how many of each kind")]
    kinds: dict[str, KindFigures]
    photographs: dict[str, PhotographFigures] = {}
    ood_images: dict[str, OodFigures] = {}


def main() -> None:
    """Run `make evaluate`. Exits with 1 where the model or the data cannot be read, 2 for wrong settings."""
    settings = settings_of(EvaluationSettings)
    try:
        figures = judge(settings)
    except (ModelFileError, TrainingError) as error:
        stop(EvaluationSettings, 1, str(error))
    if settings.output:
        settings.output.write_text(figures.model_dump_json(indent=2) + "\n")
    Console().print(
        *([photographs_table(figures.photographs)] if figures.photographs else []),
        kinds_table(figures.kinds),
        ood_table(figures.ood_images),
    )


def judge(settings: EvaluationSettings) -> Figures:
    """All figures of the model file. Raises ModelFileError, or DataError."""
    card = read_card(settings.model)
    if card is None:
        raise ModelFileError(f"{settings.model} has no card; give one that was made by `make train`")
    real = find_photographs(settings.photographs, card.class_names) if settings.photographs else []
    own = _files(settings.ood_images, settings.images) if settings.ood_images else []
    # TensorFlow takes seconds to import: --help and wrong settings should not wait for it.
    with library_notes_left_out():
        import keras  # noqa: PLC0415

    from training.calibration import features_and_logits  # noqa: PLC0415
    from training.data import load_fashion_mnist  # noqa: PLC0415
    from training.ood_images import OOD_KINDS, separation  # noqa: PLC0415
    from training.robustness import KINDS  # noqa: PLC0415

    network = keras.saving.load_model(settings.model, compile=False)
    familiarity = OodScorer(card.familiarity) if card.familiarity else None
    split = load_fashion_mnist(settings.data_dir, 0.5, 0)
    thumbnails, labels = split.test_pictures[: settings.images, ..., 0], split.test_labels[: settings.images]

    def randoms() -> Iterator[np.random.Generator]:
        return (np.random.default_rng([settings.seed, number]) for number in range(len(labels)))

    kinds, known = {}, {}
    clean: npt.NDArray[np.int64] | None = None
    for name, make in KINDS.items():
        inputs = _inputs(map(make, thumbnails, randoms()), name, card.input)
        answers = network.predict(inputs, batch_size=256, verbose=0).argmax(axis=1)
        clean = answers if clean is None else clean
        kinds[name] = KindFigures(
            accuracy=float(np.mean(answers == labels)), agreement=float(np.mean(answers == clean))
        )
        if familiarity:
            known[name] = familiarity(*features_and_logits(network, inputs))
    photographs = {}
    for kind in real:
        answers = network.predict(
            _inputs(_read(kind.folder, kind.files), kind.folder.name, card.input), verbose=0
        ).argmax(axis=1)
        accuracy = float(np.mean([answer in kind.right for answer in answers]))
        photographs[kind.folder.name] = PhotographFigures(photographs=len(answers), accuracy=accuracy)
    if not familiarity:
        return Figures(images=len(labels), kinds=kinds, photographs=photographs)

    thumbnail, photograph = known.pop("clean"), np.concatenate(list(known.values()))
    contents: dict[str, Iterable[bytes]] = {name: map(make, randoms()) for name, make in OOD_KINDS.items()}
    if settings.ood_images:
        contents[settings.ood_images.name] = own
    ood_images = {}
    for name, images in contents.items():
        strange = familiarity(*features_and_logits(network, _inputs(images, name, card.input)))
        ood_images[name] = OodFigures(
            from_thumbnails=separation(thumbnail, strange), from_photographs=separation(photograph, strange)
        )
    return Figures(images=len(labels), kinds=kinds, photographs=photographs, ood_images=ood_images)


def photographs_table(photographs: dict[str, PhotographFigures]) -> Table:
    """For the terminal."""
    table = Table("real photographs", "how many", "accuracy", title="Photographs", title_justify="left")
    for name, kind in photographs.items():
        table.add_row(name, str(kind.photographs), f"{kind.accuracy:.3f}")
    counts = [kind.photographs for kind in photographs.values()]
    accuracy = np.average([kind.accuracy for kind in photographs.values()], weights=counts)
    table.add_section()
    table.add_row("all", str(sum(counts)), f"{accuracy:.3f}")
    return table


def kinds_table(kinds: dict[str, KindFigures]) -> Table:
    """For the terminal."""
    table = Table("images", "accuracy", "as for the clean one", title="Robustness", title_justify="left")
    for name, kind in kinds.items():
        table.add_row(name, f"{kind.accuracy:.3f}", f"{kind.agreement:.3f}")
    accuracies = [kind.accuracy for kind in kinds.values()]
    table.add_section()
    table.add_row("mean", f"{np.mean(accuracies):.3f}", "")
    table.add_row("worst", f"{min(accuracies):.3f}", "")
    return table


def ood_table(ood_images: dict[str, OodFigures]) -> Table:
    """For the terminal."""
    title = "How often an image of a product is more familiar"
    table = Table("than one of", "a thumbnail", "a photograph", title=title, title_justify="left")
    for name, kind in ood_images.items():
        table.add_row(name, f"{kind.from_thumbnails:.3f}", f"{kind.from_photographs:.3f}")
    return table


def _inputs(contents: Iterable[bytes], name: str, wanted: ImageInput) -> npt.NDArray[np.float32]:
    """The network's input for each of the encoded images, prepared as the service does it."""
    opened = (open_image(content, _PLENTY_OF_PIXELS) for content in track(contents, f"{name:20}"))
    return scaled(np.stack([prepared_pixels(image, wanted) for image in opened]), wanted)


def _files(folder: Path, most: int) -> list[bytes]:
    """The content of up to `most` files below `folder` that are images. Raises DataError where there is none."""
    return _read(folder, sorted(path for path in folder.rglob("*") if path.is_file()), most)


def _read(folder: Path, paths: Iterable[Path], most: int | None = None) -> list[bytes]:
    """The content of those files in `folder` that are images. Raises DataError where none is."""
    contents: list[bytes] = []
    for path in paths:
        if len(contents) == most:
            break
        with suppress(ImageError):
            content = path.read_bytes()
            open_image(content, _PLENTY_OF_PIXELS)
            contents.append(content)
    if not contents:
        raise DataError(f"there is no image in {folder}; name a folder that has some")
    return contents


if __name__ == "__main__":
    main()
