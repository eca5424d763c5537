// HTTP client for talking to engines: bounded in time and size; TLS, HTTP/2 and unix sockets by
// libcurl (no other file includes it). No retries: the caller knows what is safe to repeat.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"

namespace arqon::net {

using Header = std::pair<std::string, std::string>;

struct Request {
  std::string method = "GET";
  std::string url;  // http://, https://
  std::vector<Header> headers;
  std::string body;
  Duration timeout = std::chrono::seconds(2);  // of the whole exchange
  std::size_t bytes_max = 8u << 20;            // of the answer
  bool http2 = false;                          // prior knowledge (h2c), as gRPC wants it
  std::string unix_socket;                     // connect here instead of the URL's host
};

struct Response {
  int status = 0;
  std::vector<Header> headers;  // names in lower case; trailers (grpc-status) come last
  std::string body;
  const std::string* header(std::string_view name) const;  // null when absent
};

// One thread at a time; keeps its connections alive between calls. Move-only.
class Client {
 public:
  Client();
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // kUnavailable when nobody answers in time, the connection breaks, or the answer is larger than
  // bytes_max; an HTTP status, whatever it is, is an answer.
  Result<Response> send(const Request& request);
  Result<Response> get(std::string_view url);
  Result<Response> post_json(std::string_view url, std::string_view json);
  // As send, but hands the body on as it comes; `on_bytes` returns false to stop early, which ends
  // with what came until then.
  Result<Response> stream(const Request& request,
                          const std::function<bool(std::string_view)>& on_bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace arqon::net
