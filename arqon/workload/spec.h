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
  std::string format;         // "azure", "mooncake", "csv"
  std::string path;           // as the user gave it; relative to the scenario's folder
  double scale = 1;           // < 1 thins, > 1 compresses time; the result says which
  std::string request_class;  // class of every request, unless a segment's mix re-draws it
};

// Fitted arrival process; lengths come from the mix.
//   azure-conv   3-state Markov-modulated Poisson process, conversation
//   azure-code   4-state Markov-modulated Poisson process, on-off code completion
//   poisson      memoryless        gamma   renewal with the coefficient of variation `cv`
struct GeneratorSource {
  std::string name;
  double rate_per_s = 1;  // mean arrival rate before segment factors
  double cv = 1;          // gamma only
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

// Speculative decoding as the workload sees it.
struct Acceptance {
  double conditional = 0.62;   // chance that a draft token is accepted, given all before it were
  double draft_ms_base = 0.3;  // draft cost of a step: base + per_k * k
  double draft_ms_per_k = 0.6;
  double quality_sigma = 0.2;  // per-request normal on the logit of `conditional`
};

struct Spec {
  Source source;
  Acceptance acceptance;
  std::string priority = "online";  // "online" | "backfill"
  std::vector<OwnLengths> lengths;
  std::vector<Segment> segments;    // sorted by at_s; the first starts at 0
};

}  // namespace arqon::workload
