"""The descriptor pool of the messages here. Knows none of them.

In the pool that a process shares by default TensorFlow, and the clients of Triton, have messages of the same names.
"""

from google.protobuf import any_pb2, duration_pb2, wrappers_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

POOL = DescriptorPool()
"""Also has, for those who ask what is served, the descriptors of what is served by messages of the shared pool."""

for module in (any_pb2, duration_pb2, wrappers_pb2, health_pb2, reflection_pb2):
    POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
