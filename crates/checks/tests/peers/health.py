"""A gRPC server with the standard health service, on the port given."""

import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


class Strangers(grpc.ServerInterceptor):
    """Keeps out whoever says that they are a stranger."""

    def intercept_service(self, continuation, details):
        if ("x-tenant", "stranger") in details.invocation_metadata:

            def refuse(request, context):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

            return grpc.unary_unary_rpc_method_handler(refuse)
        return continuation(details)


server = grpc.server(futures.ThreadPoolExecutor(2), interceptors=[Strangers()])
servicer = health.HealthServicer()
Status = health_pb2.HealthCheckResponse
servicer.set("", Status.SERVING)
servicer.set("shop.v1.Orders", Status.SERVING)
servicer.set("shop.v1.Billing", Status.NOT_SERVING)
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
