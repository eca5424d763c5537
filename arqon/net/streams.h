// Many streamed HTTP requests at once in one thread (libcurl's multi interface over epoll): what a
// load client needs. Costs one system call or two per arriving piece and nothing per idle stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/net/http.h"

namespace arqon::net {

// How an exchange ended.
struct StreamEnd {
  int status = 0;          // of HTTP; 0 when there was no answer
  bool timed_out = false;
  // Nothing came, and the connection was one kept from an earlier exchange: its server may have
  // closed it just then, and may or may not have seen the request.
  bool lost_on_kept = false;
  std::string error;       // empty: the answer came whole. Never holds a header of the request.
};

// Receives one answer. Called from Streams::poll; must outlive the stream, may start no stream.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  virtual void on_bytes(int status, std::string_view bytes) = 0;
  virtual void on_end(const StreamEnd& end) = 0;
};

// One thread. Connections are kept alive and used again.
class Streams {
 public:
  // kUnavailable when the system gives no descriptors.
  static Result<Streams> create(std::size_t streams_max);
  ~Streams();
  Streams(Streams&&) noexcept;
  Streams& operator=(Streams&&) noexcept;

  // Begins an exchange; never blocks. Request::bytes_max and timeout hold for the whole answer;
  // http2 and unix_socket are honoured. `fresh`: over a connection of its own, not kept afterwards.
  // kConflict when streams_max are open.
  Status start(Request request, StreamSink& sink, bool fresh = false);
  // Ends every open exchange without a call to its sink.
  void cancel_all();
  // Hands on what has come; waits up to `patience` when there is nothing.
  void poll(Duration patience);
  std::size_t active() const;

 private:
  struct Impl;
  explicit Streams(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace arqon::net
