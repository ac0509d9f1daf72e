"""gRPC: the Open Inference Protocol, TensorFlow Serving's, health and reflection. Imported only where it is served."""

import os

# Otherwise it says at each process that is started, for decoding or explaining, that it did not get ready for a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
