"""The names that the description of a model may use: what only computes on what it is given. Knows no file.

A test holds these lists against Keras, so that what a new version brings is decided upon and not overlooked.
Operations, as `x / 255` leaves them between layers, are in `allowed_operations`.
"""

import re


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _names(
    """Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention
    AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
    BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D
    Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU
    GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity
    InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D
    MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention
    Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
    RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing
    RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D
    SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract TimeDistributed
    UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D"""
)
MODELS = _names("Functional Model Sequential")
# Keras 1 and 2 had these, and Keras 3 has not: it, or the upgrade before it, says what is to be done.
OLD_LAYERS = _names(
    """AtrousConvolution1D AtrousConvolution2D BatchNormalizationV1 BatchNormalizationV2 ConvLSTM2DCell
    ConvRecurrent2D CuDNNGRU CuDNNLSTM Deconvolution2D Deconvolution3D GRUV1 GRUV2 GroupedQueryAttention Highway
    LSTMV1 LSTMV2 LocallyConnected1D LocallyConnected2D MaxoutDense Merge RandomHeight RandomWidth SlicingOpLambda
    SyncBatchNormalization TFOpLambda ThresholdedReLU TimeDistributedDense"""
)
# What `keras.applications` has of its own; in HDF5 it stands without a module.
APPLICATION_LAYERS = _names("CustomScaleLayer LayerScale")
# These are in `keras.layers`, too, and are refused: with code, with files or words, with another framework, and the
# classes that others are built upon.
CODE = _names("Lambda")
WORDS = _names("HashedCrossing Hashing IntegerLookup StringLookup TextVectorization")
FRAMEWORKS = _names("FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper")
BASES = _names("InputSpec Layer Wrapper")

INITIALIZERS = _names(
    """Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform
    Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal
    VarianceScaling Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal
    lecun_uniform ones orthogonal random_normal random_uniform stft truncated_normal variance_scaling zeros"""
)
REGULARIZERS = _names("L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2 l2 orthogonal_regularizer")
CONSTRAINTS = _names(
    """MaxNorm MinMaxNorm NonNeg UnitNorm max_norm min_max_norm non_neg unit_norm maxnorm nonneg unitnorm"""
)
DTYPE_POLICIES = _names(
    """DTypePolicy DTypePolicyMap FloatDTypePolicy Int4DTypePolicy Policy QuantizedDTypePolicy
    QuantizedFloat8DTypePolicy"""
)
QUANTIZERS = _names("AbsMaxQuantizer Float8QuantizationConfig Int4QuantizationConfig Int8QuantizationConfig")
ACTIVATIONS = _names(
    """celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold"""
)

# Where Keras 3, 2 and 1 and TensorFlow's copies of them keep their layers. No module beyond: Keras imports what is
# named, if it is Keras's own.
_LAYER_MODULE = re.compile(
    r"(?:keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(?:\.src|\.api|\.api\._v[12]\.keras)?"
    r"(?:\.(?:layers|engine|models|legacy\.layers)(?:\.[a-z0-9_]+){0,4})?"
)
_PART_MODULE = re.compile(
    r"(?:keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(?:\.src)?"
    r"\.(?P<kind>initializers|regularizers|constraints|dtype_policies|mixed_precision|quantizers)(?:\.[a-z0-9_]+)?"
)
_PARTS = {
    "initializers": INITIALIZERS,
    "regularizers": REGULARIZERS,
    "constraints": CONSTRAINTS,
    "dtype_policies": DTYPE_POLICIES,
    "mixed_precision": DTYPE_POLICIES,
    "quantizers": QUANTIZERS,
}
_ANY_PART = frozenset[str]().union(*_PARTS.values())


_APPLICATION_MODULE = re.compile(r"keras(?:\.src)?\.applications\.(?:convnext|inception_resnet_v2)")


def is_layer(name: str, module: str | None) -> bool:
    """Whether that is a layer, or a whole model, that only computes."""
    if name in APPLICATION_LAYERS:
        return module is None or _APPLICATION_MODULE.fullmatch(module) is not None
    known = name in LAYERS or name in MODELS or name in OLD_LAYERS
    return known and (module is None or _names_module(_LAYER_MODULE, module) is not None)


def is_part(name: str, module: str | None) -> bool:
    """Whether that is an initializer, regularizer, constraint, dtype policy or quantizer of Keras's own."""
    if module is None:
        return name in _ANY_PART
    if module == "keras":
        return name in DTYPE_POLICIES
    found = _names_module(_PART_MODULE, module)
    return found is not None and name in _PARTS[found["kind"]]


def _names_module(pattern: re.Pattern[str], module: str) -> re.Match[str] | None:
    # Keras ships the tests of its modules beside them.
    return None if module.endswith("_test") else pattern.fullmatch(module)
