// HAProxy's log line as the documentation prescribes it, and what it says about one request.
//
//   log-format "arqon1 %pid %Ts.%ms %ft %b %s %ST %B %ts %TR/%Tw/%Tc/%Tr/%Ta
//     %[var(txn.arqon_from)]/%[var(txn.arqon_first)] %sq/%bq %rc %HM
//     %{+Q}[capture.req.hdr(0),json]"
//
// (one line). Everything a client can choose comes last, quoted and escaped; a syslog header in
// front is skipped. arqon_from is the wall clock in ms when the request had been read, arqon_first
// when the first byte of the answer's body had come from the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "arqon/serving/outcome.h"
#include "arqon/serving/request_outcome.h"

namespace arqon::adapters::haproxy {

// Times in ms; -1 where the request did not get that far.
struct LogLine {
  std::int64_t pid = 0;
  double accepted_s = 0;  // unix time
  std::string frontend, backend, server;  // server "<NOSRV>" when none was chosen
  int status = -1;
  std::uint64_t bytes = 0;      // sent to the client, headers too
  std::string termination;      // two letters, "--" for a good end
  double request_ms = -1;       // TR: reading the request's headers
  double queue_ms = -1;         // Tw: waiting for a free place
  double connect_ms = -1;       // Tc
  double headers_ms = -1;       // Tr: from sending the request to the answer's headers
  double total_ms = -1;         // Ta: from the first byte of the request to the last of the answer
  double first_byte_ms = -1;    // from the first byte of the request to that of the answer's body
  int retries = 0;
  std::string method;
  std::string header;  // the captured request header, unescaped as far as it is plain text
};

enum class LineKind : std::uint8_t {
  kRequest,
  kOther,   // HAProxy's own messages, other formats
  kBroken,  // begins as ours and goes on differently: cut, or another version of the format
};

// Never fails: any bytes are one of the three. `line` is filled for kRequest alone.
LineKind parse_log_line(std::string_view datagram, LogLine& line);

// How the line counts against a class.
struct Ended {
  enum class Kind : std::uint8_t {
    kCounted,
    kCancelled,  // the client left before any limit was broken: nobody's fault, not counted
    kIgnored,    // no generation (method other than POST) or the client's own mistake (4xx)
  };
  Kind kind = Kind::kIgnored;
  serving::RequestOutcome outcome;
};
Ended how_it_ended(const LogLine& line, const serving::Slo& slo);

}  // namespace arqon::adapters::haproxy
