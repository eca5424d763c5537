// One unary gRPC call over h2c: five bytes of frame and a hand-written protobuf body are enough for
// the few calls that must not go over HTTP/1 (Triton's RepositoryModelLoad).
#pragma once

#include <string>
#include <string_view>

#include "arqon/net/http.h"

namespace arqon::net {

// Field writers of the protobuf wire format.
void append_bytes_field(std::string& out, unsigned field, std::string_view bytes);
void append_varint_field(std::string& out, unsigned field, std::uint64_t value);

// `target` is http://host:port, `method` "/package.Service/Call". The answer's message bytes.
// kUnavailable when nobody answers in time; kRefused with grpc-message when grpc-status is not 0.
Result<std::string> grpc_call(Client& client, std::string_view target, std::string_view method,
                              std::string_view message, Duration timeout);

}  // namespace arqon::net
