// Conversations: which requests repeat what others said, so that a prefix cache has something to
// find. Fitted on Mooncake's conversation trace (simulator.md 4.3: 69 % of sessions have one turn,
// gaps between turns p10/p50/p90 42/123/483 s, new tokens a turn p50/p75/p90 23/425/4256); the
// agents' numbers are assumed (5 to 20 turns, gaps of 1 to 10 s and the answer before).
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/rng.h"
#include "arqon/workload/request.h"
#include "arqon/workload/spec.h"

namespace arqon::workload {

// kInvalidConfig names the number that is out of its range.
Status check_sessions(const Sessions& sessions);

// Requests in the order of arrival. One thread.
class SessionBook {
 public:
  SessionBook(const Sessions& sessions, const Rng& rng);

  // Request number `index`, with the lengths of one that stands alone, becomes a turn: the prompt
  // grows by what was said before, and the fields of what it shares are filled in.
  void join(Request& request, std::uint64_t index);

 private:
  struct Session {
    Duration due{};
    std::uint32_t id = 0;
    std::uint32_t system_prompt = 0;
    std::uint32_t turns = 0;   // so far
    std::uint32_t length = 0;  // tokens said so far, answers included
    bool operator>(const Session& other) const {
      return due != other.due ? due > other.due : id > other.id;
    }
  };
  void begin(Session& session, Request& request, const std::vector<double>& draws);
  bool goes_on(const Session& session, double draw) const;
  double gap_s(const Request& request, double draw) const;

  Sessions sessions_;
  bool agents_;
  Rng rng_;
  std::vector<double> popularity_;  // cumulative, of the system prompts
  std::uint32_t next_id_ = 1;
  std::priority_queue<Session, std::vector<Session>, std::greater<>> open_;
};

}  // namespace arqon::workload
