// Was the run's load more than somebody could carry? A run whose client was late says nothing about
// the server; a run whose backlog grew has no steady latency to report.
#pragma once

#include <span>
#include <string>

namespace arqon::load {

// Once a second while requests arrive.
struct LoadSample {
  double t_s = 0;
  double in_flight = 0;      // sent and not ended
  double waiting = 0;        // due and without a first token, the client's own queue included
  double lag_ms_mean = 0;    // of the requests sent in this second, how late they left
  std::size_t sent = 0;      // in this second
  std::size_t ended = 0;     // in this second
  double e2e_s_mean = 0;     // of the requests that ended in this second
  bool streams_full = false; // a request waited for a free stream
};

struct Saturation {
  // The client could not keep the schedule: requests left more than 50 ms late, on average, for
  // three seconds in a row. Negative: it kept it.
  double client_from_s = -1;
  // The server's backlog grew: over six blocks in a row the requests without a first token (or,
  // once answers have begun to end, those in flight) rose in a straight line (one-sided 99 %) and
  // by half or more. Negative: it did not.
  double server_from_s = -1;
  double server_until_s = -1;   // when the backlog had come back to where it began, else the end
  double backlog_from = 0, backlog_to = 0;  // requests, at server_from_s and at its most
  bool streams_full = false;    // the reason for the client's lateness

  bool client() const { return client_from_s >= 0; }
  bool server() const { return server_from_s >= 0; }
};

// `samples` in the order of time, at least one block of a second each.
Saturation find_saturation(std::span<const LoadSample> samples);

}  // namespace arqon::load
