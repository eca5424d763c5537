// Load on an OpenAI-compatible endpoint, streamed, from a workload's trace. Open loop: requests are
// due at the trace's arrival times whatever the server does, and every latency counts from the
// moment a request was due, so neither a stalled server nor a late client can hide ("coordinated
// omission"). Closed loop: a slot sends its next request when its last one has ended.
// Rules of the ledger: docs/reference/scenario.md, "Outcomes"; this client: docs/reference/load.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/load/saturation.h"
#include "arqon/serving/request_outcome.h"
#include "arqon/serving/totals.h"
#include "arqon/workload/request.h"

namespace arqon::load {

enum class Endpoint : std::uint8_t { kCompletions, kChat };

// What stands in a prompt. kTokenIds: exactly so many random token ids (completions only), so that
// nothing is found in a prefix cache and the length is exact. kWords: so many common words.
enum class Prompts : std::uint8_t { kTokenIds, kWords };

struct Options {
  std::string url;                        // http://host:port, a trailing /v1 allowed
  Endpoint endpoint = Endpoint::kCompletions;
  std::string model;                      // sent with every request
  std::string api_key;                    // "Authorization: Bearer ..."; in no result and no error
  Prompts prompts = Prompts::kTokenIds;
  // Token ids are drawn from [first, last]: above the special tokens, below the vocabulary.
  std::uint32_t token_id_first = 100, token_id_last = 500;
  bool ignore_eos = true;                 // the answer has exactly the length asked for
  std::shared_ptr<const workload::Trace> trace;  // sorted by arrival
  std::vector<serving::Slo> classes;      // never empty; a request's class is one of them
  int closed_loop_concurrency = 0;        // > 0: arrival times of the trace do not count
  // Before the run the first so many seconds of the trace are sent once more (with other prompts);
  // they are in rows, flagged, and in nothing else. Closed loop: the first so many seconds of it.
  double warmup_s = 0;
  // Requests due at this time or later are left out; none by default.
  double duration_s = 1e9;
  double drain_s = 600;  // after the last arrival; what is in flight then is unfinished
  double request_timeout_s = 600;         // of one request, from its sending
  // At most so many in flight; more wait in the client, and their latencies with them.
  std::size_t streams_max = 2048;
  std::uint64_t seed = 0;                 // of the prompts; lengths and arrivals are the trace's
};

// What went wrong with a request. kRefused: 429 or 503. kStatus: another status than 200.
// kError: an error object inside the stream. kNoTokens: 200 without a token. kShort: fewer tokens
// than asked for, with ignore_eos. kBroken: the stream ended without an end mark, or made no sense.
// kTimeout: request_timeout_s. kCancelled: still in flight when the run was over.
enum class Failure : std::uint8_t {
  kNone, kConnection, kRefused, kStatus, kError, kNoTokens, kShort, kBroken, kTimeout, kCancelled
};
constexpr std::size_t kFailures = 10;
std::string_view to_string(Failure failure);  // "none", "connection", "refused", "no_tokens", ...

// One request. Times in seconds since the run's start, < 0 when it did not come to that; in warm-up
// `arrival_s` is negative, and so may the others be.
struct Row {
  double arrival_s = 0;        // when it was due
  double sent_s = kNever;
  double first_token_s = kNever;
  double last_token_s = kNever;
  double end_s = kNever;       // last byte
  double max_gap_ms = -1;      // largest pause between two pieces of the answer, -1 below two
  std::uint32_t prompt_tokens = 0;  // as the server counted them, else as asked for
  std::uint32_t output_asked = 0;
  std::uint32_t output_tokens = 0;  // as the server counted them, else the pieces of the answer
  std::uint32_t pieces = 0;         // of the answer as they came, one or more tokens each
  std::uint16_t request_class = 0;
  int status = 0;                   // of HTTP; 0 when there was no answer
  Failure failure = Failure::kNone;
  serving::Limit broke = serving::Limit::kNone;
  bool warmup = false;
  bool resent = false;              // a kept connection was closed under it; sent once more
  bool ended = false;               // false: in flight when the run was over, or never sent

  static constexpr double kNever = -1e9;
};

// As the ledger judges it: times from the moment the request was due.
serving::RequestOutcome outcome_of(const Row& row);

struct Progress {
  double at_s = 0;        // since the run's start; negative in warm-up
  double arrivals_end_s = 0;
  std::size_t arrived = 0, ended = 0, failed = 0, in_flight = 0;
  bool draining = false;
};

// All are called in the thread of run().
struct Hooks {
  std::stop_token stop;  // no request is sent any more; those in flight are drained
  std::stop_token abort; // ends at once: what is in flight is cancelled
  std::function<void(const Progress&)> progress;  // about once a second
  std::function<void(const Row&)> ended;          // every request, warm-up too, as it ends
};

// The first error of each kind, for people.
struct FailureExample {
  Failure failure = Failure::kNone;
  std::string text;
};

struct Outcome {
  serving::Totals totals;  // of the requests after the warm-up
  std::vector<Row> rows;   // by the moment they were due, warm-up first
  std::array<std::uint64_t, kFailures> failures{};  // after the warm-up
  std::vector<FailureExample> examples;
  Saturation saturation;
  double seconds = 0;      // from the start to the last end (or to the end of the run)
  double arrivals_s = 0;   // from the start to the end of sending
  std::size_t warmup_requests = 0, warmup_failures = 0;
  serving::Quantiles lag_ms;   // how late requests left this client
  double lag_ms_max = 0;
  double cpu_s = 0;            // of this client, warm-up and drain included
  // Requests that a kept connection lost before any answer. They are sent again, once, and from the
  // first of them on every request has a connection of its own.
  std::uint64_t resent = 0;
  std::uint64_t pieces = 0;    // received, warm-up included
  std::uint64_t tokens = 0;    // likewise
  bool stopped = false;        // by hooks.stop or hooks.abort before its time
};

// Runs in the calling thread until all is sent and drained. `clock` is only read, and shall be the
// one of the observations that the rows are to be laid beside; the run starts at its now().
// kInvalidConfig for options that cannot be; failures of requests are rows, not errors.
Result<Outcome> run(const Options& options, Clock& clock, const Hooks& hooks = {});

// Totals of the rows that were due in [from_s, to_s), warm-up left out: windows of a run, or its
// arms. Rates are per second of that span.
serving::Totals totals_of(std::span<const Row> rows, const std::vector<serving::Slo>& classes,
                          double from_s, double to_s);

}  // namespace arqon::load
