// A workload as a document describes it: where requests come from, when, and of which class.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace arqon::workload {

// A recorded trace. Timestamps are jittered inside their grid where it is coarse; a trace shorter
// than the run loops and is re-thinned by the seed.
struct TraceSource {
  std::string format;         // "azure", "mooncake", "servegen", "csv"
  std::string path;           // as the user gave it; relative to the scenario's folder
  double scale = 1;           // < 1 thins, > 1 compresses time; the result says which
  std::string request_class;  // class of every request, unless a segment's mix re-draws it
};

// Fitted arrival process; lengths come from the mix.
//   azure-conv   3-state Markov-modulated Poisson process, conversation
//   azure-code   4-state Markov-modulated Poisson process, on-off code completion
//   poisson      memoryless        gamma   renewal with the coefficient of variation `cv`
//   multi-client many clients of unequal weight, each bursty in its own way (multi_client.h)
struct GeneratorSource {
  std::string name;
  double rate_per_s = 1;  // mean arrival rate before segment factors
  double cv = 1;          // gamma only
  int clients = 100;      // multi-client only
  double skew = 1.2;      // multi-client only: client i sends in proportion to i^-skew
};

// Fixed concurrency: a slot sends its next request when its last one ends.
struct ClosedLoopSource {
  int concurrency = 32;
  double input_tokens = 1024;
  double output_tokens = 1024;
  int requests_per_slot = 10;
  double length_jitter = 0;  // lengths uniform in nominal * [1 - jitter, 1]
};

using Source = std::variant<GeneratorSource, TraceSource, ClosedLoopSource>;

// One kind of request in a mix and its share. The name is a built-in length profile
// (chat, code, long-context, summarisation, reasoning, agent) and the request's class.
struct MixShare {
  std::string name;
  double share = 1;
};

// A class's own lengths, uniform between both ends, instead of the built-in profile of its name.
struct OwnLengths {
  std::string name;
  std::uint32_t prompt_tokens_min = 1, prompt_tokens_max = 1;
  std::uint32_t output_tokens_min = 1, output_tokens_max = 1;
};

// From at_s on, what is named here replaces what held before; the rest is kept.
struct Segment {
  double at_s = 0;
  std::string name;                  // for people: "burst"; may be empty
  std::vector<MixShare> mix;         // empty = keep; generators only
  std::optional<double> rate;        // factor on the source's own rate
  std::optional<double> acceptance;  // conditional acceptance of a draft token
};

// A day: rate(t) = 1 + first harmonic - lunch_dip * second harmonic, mean 1, highest around
// peak_at_s; on days 5 and 6 of each week times `weekend`.
struct Diurnal {
  double period_s = 86400;
  double swing = 3;  // highest over lowest rate without the dip, >= 1
  double peak_at_s = 43200;
  double lunch_dip = 0;  // share by which the middle of the day is lowered, in [0, 0.4]
  double weekend = 1;
};

// Flash crowds: at random moments the rate is multiplied for a while.
struct Spikes {
  double per_hour = 1;  // mean number
  double factor_min = 2, factor_max = 5;
  double seconds_min = 60, seconds_max = 180;
};

// Who talks to the service: requests are turns of sessions that begin with one of several system
// prompts and repeat all that was said before. Arrivals stay the source's: an arrival is the next
// turn of the session that waits longest, or the first of a new one.
struct Sessions {
  std::string kind = "conversation";  // "conversation" (fitted on Mooncake) | "agent" (assumed)
  int system_prompts = 1;             // popularity by Zipf
  int system_tokens = 512;
  double zipf = 1;
};

// Speculative decoding as the workload sees it.
struct Acceptance {
  std::string row;             // of acceptance_rows.h; "" = the same chance at every position
  double conditional = 0.62;   // chance that a draft token is accepted, given all before it were
  double draft_ms_base = 0.3;  // draft cost of a step: base + per_k * k
  double draft_ms_per_k = 0.6;
  double quality_sigma = 0.2;  // per-request normal on the logit of `conditional`
};

struct Spec {
  Source source;
  Acceptance acceptance;
  std::string priority = "online";  // "online" | "backfill"
  int retries = 0;                  // times a client tries again when it is turned away
  std::optional<Diurnal> diurnal;
  std::optional<Spikes> spikes;
  std::optional<Sessions> sessions;
  std::vector<OwnLengths> lengths;
  std::vector<Segment> segments;    // sorted by at_s; the first starts at 0
};

}  // namespace arqon::workload
