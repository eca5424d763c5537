// One request on its way: bytes in, a finished Row out.
#pragma once

#include <string>
#include <string_view>

#include "arqon/base/time.h"
#include "arqon/load/chunk.h"
#include "arqon/load/load.h"
#include "arqon/net/streams.h"
#include "arqon/wire/sse.h"

namespace arqon::load {

// Reads the answer as it comes. Used again for one request after the other; one thread.
class Flight final : public net::StreamSink {
 public:
  // Whoever runs the flights.
  class Tower {
   public:
    virtual ~Tower() = default;
    virtual double now_s() const = 0;
    virtual void first_token(std::size_t row) = 0;
    // A kept connection was closed before an answer: it shall be sent again, over a fresh one.
    virtual void send_again(Flight& flight) = 0;
    // `failure_text` is empty unless the row failed.
    virtual void landed(Flight& flight, std::string failure_text) = 0;
  };

  Flight(Tower& tower, bool ignore_eos) : tower_(tower), ignore_eos_(ignore_eos) {}

  // `row` has its arrival, class and lengths.
  void take_off(std::size_t index, Row row);
  std::size_t index() const { return index_; }
  const Row& row() const { return row_; }

  void on_bytes(int status, std::string_view bytes) override;
  void on_end(const net::StreamEnd& end) override;

 private:
  void event(std::string_view data, double now_s);
  Failure verdict(const net::StreamEnd& end) const;
  std::string failure_text(const net::StreamEnd& end) const;

  Tower& tower_;
  const bool ignore_eos_;
  std::size_t index_ = 0;
  Row row_;
  wire::SseReader sse_;
  std::string error_;      // the first words of an error, from the server
  bool done_ = false;      // [DONE]
  bool finished_ = false;  // a finish_reason
  bool by_length_ = false, aborted_ = false, garbage_ = false, told_ = false;
  bool usage_ = false;
};

}  // namespace arqon::load
