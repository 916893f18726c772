"""An independent reader of the aggregated status: Python, grpcio, and nothing but reflection.

    watch.py ADDRESS TOKEN_FILE CHECK STATE [STATE ...]

Prints one JSON object a line: what reflection and health say, the list of checks, one check with its
ballot, an error with its details, and then each state that the watch shows. Ends when the states
named have been seen in that order.
"""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status


def say(**line):
    print(json.dumps(line), flush=True)


class Api:
    """Calls methods of services that it knows by reflection alone."""

    def __init__(self, channel, token):
        self.channel = channel
        self.metadata = [("authorization", f"Bearer {token}")]
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)

    def method(self, service, name):
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(name)
        request, response = GetMessageClass(descriptor.input_type), GetMessageClass(descriptor.output_type)
        path = f"/{service}/{name}"
        make = self.channel.unary_stream if descriptor.server_streaming else self.channel.unary_unary
        call = make(path, request_serializer=request.SerializeToString, response_deserializer=response.FromString)
        return lambda timeout=30, metadata=None, **fields: call(
            request(**fields), timeout=timeout, metadata=self.metadata if metadata is None else metadata
        )


def error_reason(call):
    """The code of the error that a call ends with, and the ErrorInfo in it."""
    try:
        call()
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        details = rpc_status.from_call(error).details
        found = [detail for detail in details if detail.Unpack(info)]
        assert len(found) == 1, details
        return {"code": error.code().name, "reason": info.reason, "domain": info.domain}
    raise AssertionError("the call should have failed")


def main():
    address, token_file, check, *states = sys.argv[1:]
    with open(token_file, encoding="utf-8") as file:
        token = file.read().strip()
    channel = grpc.insecure_channel(address)
    api = Api(channel, token)

    say(event="services", services=sorted(api.database.get_services()))
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    say(event="health", status=health_pb2.HealthCheckResponse.ServingStatus.Name(health.status))

    checks = "quorate.v1.CheckService"
    names, page_token = [], ""
    while True:
        page = api.method(checks, "ListChecks")(page_size=1, page_token=page_token)
        names += [entry.name for entry in page.checks]
        page_token = page.next_page_token
        if not page_token:
            break
    say(event="list", names=names)
    one = api.method(checks, "GetCheck")(name=f"checks/{check}")
    say(event="check", check=MessageToDict(one))
    get = api.method(checks, "GetCheck")
    say(event="missing", **error_reason(lambda: get(name="checks/no-such-check")))
    say(event="no-token", **error_reason(lambda: get(name=f"checks/{check}", metadata=[])))

    wanted = [f"STATE_{state.upper()}" for state in states]
    watch = api.method(checks, "WatchChecks")(timeout=120, names=[f"checks/{check}"])
    for message in watch:
        kind = message.WhichOneof("event")
        if kind == "synced":
            say(event="synced")
        if kind in ("snapshot", "change"):
            seen = MessageToDict(getattr(message, kind))["verdict"]
            say(event=kind, state=seen["state"], cause=seen.get("cause", ""), failing=seen.get("failingRegionCount", 0))
            if wanted and seen["state"] == wanted[0]:
                wanted.pop(0)
            if not wanted:
                return
    raise SystemExit(f"the watch ended before {wanted} were seen")


if __name__ == "__main__":
    main()
