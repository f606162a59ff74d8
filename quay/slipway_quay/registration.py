"""Registers a job with Quay's build manager in the worker's place, so that no token of Quay's has to enter a pod."""

from __future__ import annotations

import grpc

from slipway_quay import rpc
from slipway_quay.executor import StartError
from slipway_quay.taskrun import BuildPack

_SAYS = {
    grpc.StatusCode.UNAUTHENTICATED: "the build manager does not accept the registration token",
    grpc.StatusCode.INTERNAL: "the build manager has no such job (any more), or cannot make a build pack of it",
    grpc.StatusCode.UNKNOWN: "the build manager failed to make a build pack: does the build have a source?",
    grpc.StatusCode.UNAVAILABLE: "the build manager's gRPC server does not answer; see BUILDMAN_GRPC",
    grpc.StatusCode.DEADLINE_EXCEEDED: "the build manager's gRPC server is too slow, or its ten threads are busy",
}


class GrpcRegistrar:
    def __init__(self, address: str) -> None:
        self._address = address

    def register(self, token: str, timeout: float) -> BuildPack:
        # Its own channel, for this moment: one that is kept would have to survive the fork of a server.
        with grpc.insecure_channel(self._address) as channel:
            try:
                message = rpc.new("BuildJobArgs", register_jwt=token)
                reply = rpc.BuildManagerStub(channel).RegisterBuildJob(message, timeout=timeout, wait_for_ready=True)
            except grpc.RpcError as error:
                code = error.code()
                raise StartError(_SAYS.get(code, f"the build manager refused the registration ({code.name})")) from None
        return BuildPack.of_message(reply)
