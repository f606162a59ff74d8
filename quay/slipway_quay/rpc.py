"""Quay's build manager service (`buildman_pb.BuildManager`), spoken without Quay's generated code.

Inside Quay the generated module is loaded already, and protobuf takes a second definition of the same names in one pool
for an error; outside Quay there is none. So the messages are described here, field by field as Quay's service has
them, in a pool of their own. The names and numbers below are the wire contract.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

PACKAGE = "buildman_pb"
SERVICE = f"{PACKAGE}.BuildManager"

_Field = descriptor_pb2.FieldDescriptorProto
_STRING, _BOOL, _INT32 = _Field.TYPE_STRING, _Field.TYPE_BOOL, _Field.TYPE_INT32

PHASES = ("WAITING", "UNPACKING", "PULLING", "BUILDING", "PUSHING", "COMPLETE", "ERROR")

# message -> (field, number, type), where a type is a scalar, the name of a message or "[]" for repeated strings.
_MESSAGES: dict[str, list[tuple[str, int, int | str]]] = {
    "PingRequest": [],
    "PingReply": [("reply", 1, _STRING)],
    "BuildJobArgs": [("register_jwt", 1, _STRING)],
    "BaseImage": [("username", 1, _STRING), ("password", 2, _STRING)],
    "GitPackage": [("url", 1, _STRING), ("sha", 2, _STRING), ("private_key", 3, _STRING)],
    "BuildPack": [
        ("job_jwt", 1, _STRING),
        ("package_url", 2, _STRING),
        ("git_package", 3, "GitPackage"),
        ("context", 4, _STRING),
        ("dockerfile_path", 5, _STRING),
        ("repository", 6, _STRING),
        ("registry", 7, _STRING),
        ("pull_token", 8, _STRING),
        ("push_token", 9, _STRING),
        ("tag_names", 10, "[]"),
        ("base_image", 11, "BaseImage"),
    ],
    "HeartbeatRequest": [("job_jwt", 1, _STRING)],
    "HeartbeatResponse": [("reply", 1, _BOOL)],
    "PullMetadata": [
        ("registry_url", 1, _STRING),
        ("base_image", 2, _STRING),
        ("base_image_tag", 3, _STRING),
        ("pull_username", 4, _STRING),
    ],
    "SetPhaseRequest": [
        ("job_jwt", 1, _STRING),
        ("sequence_number", 2, _INT32),
        ("phase", 3, "enum"),
        ("pull_metadata", 4, "PullMetadata"),
    ],
    "SetPhaseResponse": [("success", 1, _BOOL), ("sequence_number", 2, _INT32)],
    "LogMessageRequest": [
        ("job_jwt", 1, _STRING),
        ("sequence_number", 2, _INT32),
        ("log_message", 3, _STRING),
        ("phase", 4, _STRING),
    ],
    "LogMessageResponse": [("success", 1, _BOOL), ("sequence_number", 2, _INT32)],
    "CachedTagRequest": [
        ("job_jwt", 1, _STRING),
        ("base_image_name", 2, _STRING),
        ("base_image_tag", 3, _STRING),
        ("base_image_id", 4, _STRING),
    ],
    "CachedTag": [("CachedTag", 1, _STRING)],
}

# method -> (request, reply, streamed in both directions)
METHODS: dict[str, tuple[str, str, bool]] = {
    "Ping": ("PingRequest", "PingReply", False),
    "RegisterBuildJob": ("BuildJobArgs", "BuildPack", False),
    "Heartbeat": ("HeartbeatRequest", "HeartbeatResponse", True),
    "SetPhase": ("SetPhaseRequest", "SetPhaseResponse", False),
    "LogMessage": ("LogMessageRequest", "LogMessageResponse", True),
    "DetermineCachedTag": ("CachedTagRequest", "CachedTag", False),
}


def _describe() -> dict[str, type[Message]]:
    file = descriptor_pb2.FileDescriptorProto(name="slipway_quay/buildman.proto", package=PACKAGE, syntax="proto3")
    phases = file.enum_type.add(name="Phase")
    for number, name in enumerate(PHASES):
        phases.value.add(name=name, number=number)
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            repeated = kind == "[]"
            field = described.field.add(
                name=name,
                number=number,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
                json_name=name,
            )
            if kind == "enum":
                field.type, field.type_name = _Field.TYPE_ENUM, f".{PACKAGE}.Phase"
            elif isinstance(kind, str) and not repeated:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                field.type = _STRING if repeated else kind  # type: ignore[assignment]
            if message == "BuildPack" and name in ("package_url", "git_package"):
                field.oneof_index = 0
        if message == "BuildPack":
            described.oneof_decl.add(name="build_pack")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {}
    for message in _MESSAGES:
        descriptor = pool.FindMessageTypeByName(f"{PACKAGE}.{message}")
        found[message] = _class_of(descriptor)
    return found


def _class_of(descriptor: Any) -> type[Message]:
    # protobuf 4.22 and later have the function, earlier ones the factory only.
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory().GetPrototype(descriptor)  # type: ignore[no-any-return, attr-defined]


_CLASSES = _describe()


def new(message: str, **fields: Any) -> Any:
    """A message by its name; the type checker can't know its fields."""
    return _CLASSES[message](**fields)


class BuildManagerStub:
    """Client side of the service over a channel; calls take `timeout` as grpc's own stubs do."""

    def __init__(self, channel: grpc.Channel) -> None:
        def unary(method: str) -> Callable[..., Any]:
            reply = _CLASSES[METHODS[method][1]]
            return channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=reply.FromString,
            )

        def stream(method: str) -> Any:
            reply = _CLASSES[METHODS[method][1]]
            call: Any = channel.stream_stream(
                f"/{SERVICE}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=reply.FromString,
            )
            return call

        self.Ping = unary("Ping")
        self.RegisterBuildJob = unary("RegisterBuildJob")
        self.SetPhase = unary("SetPhase")
        self.DetermineCachedTag = unary("DetermineCachedTag")
        self.Heartbeat = stream("Heartbeat")
        self.LogMessage = stream("LogMessage")


def handlers(servicer: Any) -> Any:
    """The service on a server, for tests: `servicer` has a method of each name, as Quay's servicer has."""
    table = {}
    for method, (request, _, streamed) in METHODS.items():
        make = grpc.stream_stream_rpc_method_handler if streamed else grpc.unary_unary_rpc_method_handler
        table[method] = make(
            getattr(servicer, method),
            request_deserializer=_CLASSES[request].FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
    return grpc.method_handlers_generic_handler(SERVICE, table)
