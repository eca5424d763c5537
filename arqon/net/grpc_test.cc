#include "arqon/net/grpc.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace arqon::net {
namespace {

// HTTP/2 frames (RFC 9113) as far as one answer needs them; header blocks as literals without
// indexing or Huffman coding (RFC 7541, 6.2.2).
constexpr char kData = 0, kHeaders = 1, kSettings = 4;
constexpr char kEndStream = 1, kAck = 1, kEndHeaders = 4;

std::string frame(char type, char flags, char stream, std::string_view payload) {
  std::string out{static_cast<char>(payload.size() >> 16),
                  static_cast<char>(payload.size() >> 8),
                  static_cast<char>(payload.size()),
                  type,
                  flags,
                  0,
                  0,
                  0,
                  stream};
  return out.append(payload);
}

std::string literal(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out += name;
  out += static_cast<char>(value.size());
  return out.append(value);
}

// Answers one gRPC call with given frames; keeps the DATA that came.
class OneCall {
 public:
  explicit OneCall(std::string answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { converse(); });
  }
  ~OneCall() {
    ::shutdown(listener_, SHUT_RDWR);
    finish();
    ::close(listener_);
  }
  std::string target() const { return "http://127.0.0.1:" + std::to_string(port_); }
  const std::string& finish() {
    if (thread_.joinable()) thread_.join();
    return data_;
  }

 private:
  static std::string exactly(int fd, std::size_t size) {
    std::string out(size, '\0');
    for (std::size_t got = 0; got < size;) {
      const ssize_t n = ::recv(fd, out.data() + got, size - got, 0);
      if (n <= 0) return "";
      got += static_cast<std::size_t>(n);
    }
    return out;
  }

  void converse() {
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd < 0) return;
    const auto send = [&](const std::string& s) { ::send(fd, s.data(), s.size(), MSG_NOSIGNAL); };
    bool ended = exactly(fd, 24).empty();  // the client's preface
    send(frame(kSettings, 0, 0, ""));
    while (!ended) {
      const std::string head = exactly(fd, 9);
      if (head.empty()) break;
      const auto byte = [&](std::size_t i) {
        return std::size_t{static_cast<unsigned char>(head[i])};
      };
      const std::string payload = exactly(fd, byte(0) << 16 | byte(1) << 8 | byte(2));
      if (head[3] == kSettings && (head[4] & kAck) == 0) send(frame(kSettings, kAck, 0, ""));
      if (head[3] == kData) data_ += payload;
      ended = (head[3] == kData || head[3] == kHeaders) && (head[4] & kEndStream) != 0;
    }
    send(answer_);
    char rest[256];
    while (::recv(fd, rest, sizeof rest, 0) > 0) continue;  // until the client is done
    ::close(fd);
  }

  std::string answer_, data_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::string answered(std::string_view body, std::string_view trailers) {
  return frame(kHeaders, kEndHeaders, 1,
               literal(":status", "200") + literal("content-type", "application/grpc")) +
         frame(kData, 0, 1, body) + frame(kHeaders, kEndHeaders | kEndStream, 1, trailers);
}

Result<std::string> call(const std::string& target, std::string_view message) {
  Client client;  // gone, with its connection, when the call is done
  return grpc_call(client, target, "/inference.Service/Load", message, std::chrono::seconds(5));
}

TEST(Protobuf, fields_are_written_as_the_wire_format_says) {
  std::string out;
  append_varint_field(out, 1, 150);
  append_bytes_field(out, 2, "testing");
  EXPECT_EQ(out, std::string("\x08\x96\x01\x12\x07testing"));
  out.clear();
  append_varint_field(out, 20, UINT64_MAX);
  EXPECT_EQ(out.size(), 12u);
  EXPECT_EQ(out.substr(0, 2), "\xA0\x01");
}

TEST(GrpcCall, frames_the_message_and_gives_the_answer_back) {
  OneCall server(answered(std::string("\0\0\0\0\2ok", 7), literal("grpc-status", "0")));
  EXPECT_EQ(call(server.target(), "hello").value(), "ok");
  EXPECT_EQ(server.finish(), std::string("\0\0\0\0\5hello", 10));
}

TEST(GrpcCall, a_status_in_the_trailer_is_a_refusal_with_its_text) {
  OneCall server(
      answered("", literal("grpc-status", "13") + literal("grpc-message", "no%20such model%")));
  const auto answer = call(server.target(), "x");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kRefused);
  EXPECT_EQ(answer.error().message,
            server.target() + "/inference.Service/Load: no such model% (gRPC status 13)");
}

TEST(GrpcCall, a_refusal_without_a_body_is_read_from_the_headers) {
  OneCall server(frame(kHeaders, kEndHeaders | kEndStream, 1,
                       literal(":status", "200") + literal("grpc-status", "5")));
  EXPECT_EQ(call(server.target(), "x").error().code, ErrorCode::kRefused);
}

TEST(GrpcCall, a_broken_frame_or_a_missing_status_is_unavailable) {
  OneCall shorter(answered(std::string("\0\0\0\0\5ok", 7), literal("grpc-status", "0")));
  EXPECT_EQ(call(shorter.target(), "x").error().code, ErrorCode::kUnavailable);
  OneCall mute(answered(std::string("\0\0\0\0\2ok", 7), literal("x-a", "0")));
  EXPECT_EQ(call(mute.target(), "x").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(call("http://127.0.0.1:1", "x").error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace arqon::net
