"""One realistic answer of each call, for the OpenAPI page."""

from datetime import UTC, datetime

from models.card import (
    ClassFigures,
    Data,
    Epoch,
    Evaluation,
    ImageInput,
    Score,
    Training,
)
from service.api.schemas import (
    Answer,
    AttributionAnswer,
    BatchAnswer,
    BatchPrediction,
    BatchProblem,
    ClassProbability,
    EmbeddingAnswer,
    FeatureMaps,
    Found,
    FrameShown,
    Histogram,
    ImageEmbedding,
    KernelsAnswer,
    LayerOutput,
    ModelCardAnswer,
    ModelName,
    Prediction,
    Trace,
    TracedWindow,
)
from service.engines.model_summary import LayerSummary, ModelSummary
from service.http.problems import Problem

_MODEL = ModelName(name="best-cnn-model", version="49b21144198a")
_CLASSES = (
    ClassProbability(label="Ankle boot", index=9, probability=0.9871),
    ClassProbability(label="Sneaker", index=7, probability=0.0104),
    ClassProbability(label="Sandal", index=5, probability=0.0025),
)
_PREDICTION = Prediction(**_CLASSES[0].model_dump(), familiarity=0.62, probabilities=_CLASSES)

ANSWER = Answer(**_PREDICTION.model_dump(), model=_MODEL)

BATCH_ANSWER = BatchAnswer(
    model=_MODEL,
    results=(
        BatchPrediction(file="boot.png", prediction=_PREDICTION),
        BatchProblem(
            file="notes.txt",
            problem=Problem(
                title="Unsupported Media Type",
                status=415,
                detail="the content is not an image in a format that is read here: PNG, JPEG, GIF, BMP, WEBP, "
                "AVIF, HEIF, TIFF",
            ),
        ),
    ),
)

# Of a model whose last dense layer takes four values.
EMBEDDING_ANSWER = EmbeddingAnswer(
    model=_MODEL,
    dimension=4,
    normalized=False,
    results=(ImageEmbedding(file="boot.png", embedding=(0.0, 1.25, 3.5, 0.0)),),
)

MODEL_SUMMARY = ModelSummary(
    name="cats-and-dogs",
    version="3f1c7a90be42",
    input_shape=(32, 32, 3),
    layers=(
        LayerSummary(
            name="conv2d",
            type="Conv2D",
            output_shape=(32, 32, 16),
            parameters=448,
            filters=16,
            kernel_size=(3, 3),
            strides=(1, 1),
            padding="same",
            activation="relu",
        ),
        LayerSummary(
            name="max_pooling2d",
            type="MaxPooling2D",
            output_shape=(16, 16, 16),
            parameters=0,
            pool_size=(2, 2),
            strides=(2, 2),
            padding="valid",
        ),
        LayerSummary(name="flatten", type="Flatten", output_shape=(4096,), parameters=0),
        LayerSummary(name="dropout", type="Dropout", output_shape=(4096,), parameters=0, dropout=0.4),
        LayerSummary(name="dense", type="Dense", output_shape=(2,), parameters=8194, units=2, activation="softmax"),
    ),
    parameters=8642,
    trainable_parameters=8642,
)

SUMMARY_TABLE = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                      ┃ Output Shape             ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ conv2d (Conv2D)                   │ (None, 32, 32, 16)       │           448 │
├───────────────────────────────────┼──────────────────────────┼───────────────┤
│ max_pooling2d (MaxPooling2D)      │ (None, 16, 16, 16)       │             0 │
├───────────────────────────────────┼──────────────────────────┼───────────────┤
│ flatten (Flatten)                 │ (None, 4096)             │             0 │
├───────────────────────────────────┼──────────────────────────┼───────────────┤
│ dropout (Dropout)                 │ (None, 4096)             │             0 │
├───────────────────────────────────┼──────────────────────────┼───────────────┤
│ dense (Dense)                     │ (None, 2)                │         8,194 │
└───────────────────────────────────┴──────────────────────────┴───────────────┘
 Total params: 8,642 (33.76 KB)
 Trainable params: 8,642 (33.76 KB)
 Non-trainable params: 0 (0.00 B)
"""

MODEL_CARD = ModelCardAnswer(
    name="cats-and-dogs",
    class_names=("cat", "dog"),
    input=ImageInput(height=32, width=32, channels=3, scale=1 / 255, fit="crop", interpolation="bilinear"),
    sources=(
        Found(field="class_names", value="cat, dog", source="labels.txt", guessed=False),
        Found(field="pixels", value="0..1", source="the default: nothing says otherwise", guessed=True),
    ),
    data=Data(
        name="cats-and-dogs",
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        training_pictures=1600,
        validation_pictures=400,
        test_pictures=200,
    ),
    training=Training(
        recipe="textbook",
        settings={"epochs": 20, "batch_size": 32, "patience": 2, "learning_rate": 0.001},
        history=(
            Epoch(epoch=1, loss=0.6121, accuracy=0.6550, validation_loss=0.4987, validation_accuracy=0.7625),
            Epoch(epoch=2, loss=0.4310, accuracy=0.8069, validation_loss=0.3702, validation_accuracy=0.8475),
        ),
        best_epoch=2,
        seconds=12.4,
        versions={"python": "3.12.11", "keras": "3.15.1", "tensorflow": "2.21.0"},
        finished=datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
    ),
    evaluation=Evaluation(
        validation=Score(loss=0.3702, accuracy=0.8475),
        test=Score(loss=0.3818, accuracy=0.85),
        per_class=(
            ClassFigures(name="cat", precision=0.835, recall=0.8687, f1=0.8515, pictures=99),
            ClassFigures(name="dog", precision=0.866, recall=0.8317, f1=0.8485, pictures=101),
        ),
        confusion_matrix=((86, 13), (17, 84)),
    ),
)

# Of a model for images of 2×2, so that a person can read them.
FEATURE_MAPS = FeatureMaps(
    model=_MODEL,
    layers=(
        LayerOutput(
            layer="conv2d",
            shape=(2, 2, 2),
            strongest=(1, 0),
            maps=(((0.0, 0.12), (0.0, 0.31)), ((0.84, 0.0), (0.55, 0.27))),
        ),
        LayerOutput(layer="dense", shape=(3,), strongest=(0, 2, 1), values=(0.971, 0.008, 0.021)),
    ),
)

KERNELS = KernelsAnswer(
    model=_MODEL,
    layer="conv2d",
    kernels=((((0.4, -0.2), (0.1, 0.3)),), (((-0.5, 0.2), (0.0, 0.1)),)),
    biases=(0.02, -0.01),
    mean=0.05,
    standard_deviation=0.2693,
    histogram=Histogram(edges=(-0.5, -0.2, 0.1, 0.4), counts=(1, 2, 5)),
)

ATTRIBUTION = AttributionAnswer(
    model=_MODEL,
    method="integrated-gradients",
    label="Ankle boot",
    index=9,
    probability=0.9871,
    score=11.5,
    baseline_score=-2.5,
    values=((0.5, 3.25), (-0.75, 11.0)),
    frame=FrameShown(left=-0.25, top=0.1, width=1.5, height=0.75),
)

TRACE = Trace(
    model=_MODEL,
    layer="conv2d",
    kind="convolution",
    filter=0,
    row=0,
    column=1,
    window=TracedWindow(
        rows=(0, 1), columns=(1, 2), inside=((True, False), (True, False)), values=(((0.5, 0.0), (1.0, 0.0)),)
    ),
    kernel=(((0.4, -0.2), (0.1, 0.3)),),
    products=(((0.2, 0.0), (0.1, 0.0)),),
    bias=0.02,
    total=0.32,
    activation="relu",
    value=0.32,
)
