"""Writes the model files in `old-files` and what they answer, with the TensorFlow 2.15.1 that this script runs in.

    python -m venv /tmp/tf215 && /tmp/tf215/bin/pip install tensorflow-cpu==2.15.1 numpy==1.26.4
    python tests/service/model_files/upgrade/make_old_files.py

Only for when a file is to be added: the tests need neither this script nor that TensorFlow.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

FOLDER = Path(__file__).with_name("old-files")
SIDE = 8


def images(shape, largest):
    """The same images as in `test_upgrade`."""
    return (np.arange(np.prod(shape)) * 37 % 101 / 100 * largest).reshape(shape).astype(np.float32)


def base():
    """A backbone like MobileNet's, with slashes in names as in DenseNet, frozen but for its last layers."""
    start = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem/conv")(start)
    x = layers.BatchNormalization(name="stem/bn")(x)
    x = layers.ReLU(6.0)(x)
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.SeparableConv2D(4, 3)(layers.add([x, y]))
    model = keras.Model(start, layers.BatchNormalization()(x), name="base")
    model.trainable = False
    for layer in model.layers[-2:]:
        layer.trainable = True
    return model


def head(x, start):
    return keras.Model(start, layers.Dense(3)(layers.Flatten()(x)))


def nested():
    start = keras.Input((SIDE, SIDE, 3))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(base()(start, training=False)))
    return keras.Model(start, layers.Dense(3)(x))


def teachable():
    features = keras.Sequential([base(), layers.GlobalAveragePooling2D()])
    classes = keras.Sequential([layers.Dense(5, "relu", input_shape=(4,)), layers.Dense(2, "softmax", use_bias=False)])
    return keras.Sequential([features, classes])


def shared():
    """Models and layers that are called several times: their calls are told apart by numbers."""
    start = keras.Input((SIDE, SIDE, 3))
    once = keras.Sequential([layers.Conv2D(3, 3, padding="same", input_shape=(SIDE, SIDE, 3)), layers.ReLU()])
    deferred = keras.Sequential([layers.Conv2D(3, 3, padding="same")])
    inner = keras.Input((SIDE, SIDE, 3))
    functional = keras.Model(inner, layers.Conv2D(2, 3)(layers.Conv2D(3, 3, padding="same")(inner)))
    a = once(start)
    b = once(a)
    c = deferred(deferred(b))
    return head(layers.concatenate([functional(b), functional(a), layers.Cropping2D(1)(c)]), start)


def ends_in_a_model():
    start = keras.Input((SIDE, SIDE, 3))
    inner = base()
    inner(start)
    return keras.Model(start, inner(layers.Rescaling(2.0)(start)))


def preprocessed(function):
    start = keras.Input((SIDE, SIDE, 3))
    return head(layers.Conv2D(2, 3)(function(start)), start)


def arithmetic(x):
    y = tf.nn.relu(x) + x * 2
    y = tf.cast(1.0 - y - x, "float32") * [1.0, 2.0, 3.0]
    y = tf.subtract(3.0, tf.multiply(3.0, tf.math.divide(y, 3.0)))
    y = -(tf.add(y, [0.1, 0.2, 0.3]) * tf.sigmoid(y)) + tf.constant(2.0)
    return y[:, :, :, ::-1]


def functions(x):
    wanted = (tf.nn.relu6, tf.nn.softmax, tf.nn.tanh, tf.nn.elu, tf.nn.silu, tf.nn.gelu, tf.nn.leaky_relu)
    x = tf.concat([function(x - 0.5) for function in wanted], axis=-1)
    x = tf.concat([tf.image.resize(x, (5, 4)), tf.image.resize(x, (5, 4), method="nearest")], -1)
    pooled = tf.reduce_mean(x, [1, 2], keepdims=True) + tf.reduce_max(x, [1, 2], keepdims=True)
    return layers.UpSampling2D(3)(tf.reshape(pooled, (-1, 1, 1, 42)))


def augmented():
    augment = [layers.RandomFlip(input_shape=(SIDE, SIDE, 3)), layers.RandomRotation(0.1), layers.RandomZoom(0.1)]
    scale = [layers.Resizing(9, 9), layers.CenterCrop(7, 7), layers.Rescaling(1 / 127.5, -1)]
    rest = [layers.Conv2D(4, 3), layers.SpatialDropout2D(0.1), layers.GaussianNoise(0.1), layers.Flatten()]
    return keras.Sequential([keras.Sequential(augment), keras.Sequential(scale), *rest, layers.Dense(3)])


def kinds():
    normalization = layers.Normalization()
    normalization.adapt(images((4, SIDE, SIDE, 3), 1))
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            normalization,
            layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", kernel_constraint="max_norm"),
            layers.LeakyReLU(),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Conv2DTranspose(4, 3, strides=2, kernel_initializer="he_normal"),
            layers.LayerNormalization(),
            layers.GroupNormalization(2),
            layers.UpSampling2D(interpolation="bilinear"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2),
            layers.AveragePooling2D(),
            layers.ThresholdedReLU(0.1),
            layers.Activation("swish"),
            layers.Flatten(),
            layers.Dense(3, activation=tf.nn.softmax),
        ]
    )


def recurrent():
    start = keras.Input((SIDE, SIDE, 3))
    x = layers.Reshape((6, 12))(layers.Conv2D(2, 3)(start))
    x = layers.GRU(3, return_sequences=True, reset_after=False)(layers.GRU(3, return_sequences=True)(x))
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(layers.TimeDistributed(layers.Dense(4))(x))
    return keras.Model(start, layers.SimpleRNN(3)(x))


def deferred():
    model = keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
    model(np.zeros((2, SIDE, SIDE, 3), np.float32))
    return model


def mixed():
    keras.mixed_precision.set_global_policy("mixed_float16")
    model = keras.Sequential([layers.Conv2D(2, 3, input_shape=(SIDE, SIDE, 3)), layers.Flatten(), layers.Dense(2)])
    keras.mixed_precision.set_global_policy("float32")
    return model


applications = tf.keras.applications
MODELS = {  # name: what makes the model, the largest pixel, kinds of file
    "nested": (nested, 1, ("h5", "keras")),
    "teachable": (teachable, 1, ("h5", "keras")),
    "shared": (shared, 1, ("h5", "keras")),
    "ends-in-a-model": (ends_in_a_model, 1, ("h5",)),
    "tf-mode": (lambda: preprocessed(applications.mobilenet_v2.preprocess_input), 255, ("h5",)),
    "caffe-mode": (lambda: preprocessed(applications.vgg16.preprocess_input), 255, ("h5",)),
    "torch-mode": (lambda: preprocessed(applications.densenet.preprocess_input), 255, ("keras",)),
    "arithmetic": (lambda: preprocessed(arithmetic), 1, ("h5",)),
    "functions": (lambda: preprocessed(functions), 1, ("h5",)),
    "augmented": (augmented, 255, ("keras",)),
    "kinds": (kinds, 1, ("h5",)),
    "recurrent": (recurrent, 1, ("h5", "keras")),
    "deferred": (deferred, 1, ("h5",)),
    "mixed": (mixed, 1, ("h5",)),
}


def fill(model):
    """Gives each weight values of its own, so that one in another's place changes the answers."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype.is_floating:
            values = random.normal(0, 0.3, weight.shape)
            weight.assign(np.abs(values) + 0.5 if "variance" in weight.name or "gamma" in weight.name else values)


def compress(archive):
    """Keras leaves the parts of a `.keras` archive as large as they are, and reads compressed ones, too."""
    with zipfile.ZipFile(archive) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def main():
    FOLDER.mkdir(exist_ok=True)
    expected = {}
    for name, (make, largest, kinds_of_file) in MODELS.items():
        keras.backend.clear_session()
        model = make()
        fill(model)
        for kind in kinds_of_file:
            model.save(FOLDER / f"{name}.{kind}")
            loaded = keras.models.load_model(FOLDER / f"{name}.{kind}", compile=False)
            outputs = loaded(images((2, *loaded.input_shape[1:]), largest), training=False).numpy()
            if kind == "keras":
                compress(FOLDER / f"{name}.{kind}")
            expected[f"{name}.{kind}"] = {"largest": largest, "outputs": outputs.astype(float).round(9).tolist()}
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
