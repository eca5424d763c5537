#include "arqon/net/grpc.h"

#include <fmt/format.h>

#include <cstdint>

namespace arqon::net {
namespace {

constexpr std::size_t kFrameBytes = 5;  // a compression flag and a length, most significant first
constexpr unsigned kVarint = 0;         // wire types of protobuf
constexpr unsigned kLengthDelimited = 2;

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>((value & 0x7F) | 0x80);
    value >>= 7;
  }
  out += static_cast<char>(value);
}

std::string framed(std::string_view message) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += static_cast<char>((message.size() >> shift) & 0xFF);
  }
  return out.append(message);
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// grpc-message is percent-encoded; what is broken stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool code =
        text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0;
    out += code ? static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2])) : text[i];
    if (code) i += 2;
  }
  return out;
}

Result<std::string> message_of(const std::string& body, std::string_view place) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(body[i]); };
  if (body.size() < kFrameBytes || byte(0) != 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: the answer is no plain message", place));
  }
  std::size_t size = 0;
  for (std::size_t i = 1; i < kFrameBytes; ++i) size = size << 8 | byte(i);
  if (size != body.size() - kFrameBytes) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: a message of {} bytes came as {}", place,
                                                     size, body.size() - kFrameBytes));
  }
  return body.substr(kFrameBytes);
}

}  // namespace

void append_bytes_field(std::string& out, unsigned field, std::string_view bytes) {
  append_varint(out, static_cast<std::uint64_t>(field) << 3 | kLengthDelimited);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_varint_field(std::string& out, unsigned field, std::uint64_t value) {
  append_varint(out, static_cast<std::uint64_t>(field) << 3 | kVarint);
  append_varint(out, value);
}

Result<std::string> grpc_call(Client& client, std::string_view target, std::string_view method,
                              std::string_view message, Duration timeout) {
  const std::string place = std::string(target) + std::string(method);
  const auto answer =
      client.send({.method = "POST",
                   .url = place,
                   .headers = {{"Content-Type", "application/grpc"}, {"TE", "trailers"}},
                   .body = framed(message),
                   .timeout = timeout,
                   .http2 = true});
  if (!answer) return tl::unexpected<Error>(answer.error());
  const std::string* status = answer->header("grpc-status");
  if (answer->status != 200 || status == nullptr) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: not a gRPC answer (HTTP status {})", place, answer->status));
  }
  if (*status != "0") {
    const std::string* text = answer->header("grpc-message");
    return fail(ErrorCode::kRefused,
                fmt::format("{}: {} (gRPC status {})", place,
                            text == nullptr ? "refused" : percent_decoded(*text), *status));
  }
  return message_of(answer->body, place);
}

}  // namespace arqon::net
