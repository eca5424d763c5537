// llama.cpp servers behind HAProxy as one live engine. Knobs (POOL is any name):
//   POOL.batch_size              live: maxconn of a one-server backend in front of each replica
//   POOL.slots                   restart or reload: --parallel
//   POOL.kv_cache_size           restart or reload: --ctx-size, tokens of all slots together
//   POOL.speculative_decoding_k  restart or reload: --spec-draft-n-max
// llama.cpp itself has no live knob: POST /props answers "success" and changes nothing. Flags move
// one replica at a time - out of HAProxy, empty, changed, back - and never on the last one that
// serves. Outcomes come from HAProxy's log, tokens and busy slots from /metrics.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/haproxy/front.h"
#include "arqon/adapters/llamacpp/replica.h"
#include "arqon/adapters/llamacpp/server.h"
#include "arqon/base/result.h"
#include "arqon/serving/engine.h"
#include "arqon/serving/second_hand.h"

namespace arqon::adapters::llamacpp {

class LlamaEngine final : public serving::Engine, public serving::SecondHand {
 public:
  static Result<std::unique_ptr<LlamaEngine>> attach(const AttachRequest& request);

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status requalify() override;
  void written_for_us(const Config& setting, serving::Scope scope) override;

  const haproxy::Front& front() const { return front_; }
  // Mean of busy slots per decode of a replica between its last two looks.
  double busy_slots(std::size_t replica) const { return members_[replica].busy_slots; }

 private:
  enum class Knob : std::uint8_t { kCap, kSlots, kContext, kDraft };
  // What is known of one replica; `fresh` is false while it does not answer.
  struct Member {
    Replica replica;
    std::size_t place;  // in HAProxy's backend
    Props props;  // as attached or requalified
    Props seen;   // as it is now
    Slots slots;
    Metrics metrics;
    bool fresh = true;
    double busy_slots = 0;
    std::int64_t cap = 0;
    std::uint64_t cap_queued = 0;
    // Tokens seen since the epoch began; those not yet given to requests that ended.
    double tokens = 0, good_tokens = 0, pending = 0;
    double per_token = 0;  // dollars
    double paid = 0;       // for tokens, since the attach
    std::uint64_t ended = 0, good = 0;
    TimePoint decoded_at{};  // when it last decoded, or had nothing to do
  };
  LlamaEngine(haproxy::Front front, Clock& clock) : front_(std::move(front)), clock_(clock) {}

  Status read_target(const AttachRequest& request);
  Status read_replica(const wire::Value& value, std::size_t index, const Patience& patience);
  Status first_look();
  Status bind(const AttachRequest& request);
  Status check_knob(Knob knob, const Parameter& parameter) const;
  bool has_cap() const;
  bool can_change_flags() const;
  Knob cap_or(std::string_view name, bool& known) const;
  std::vector<Parameter> offered() const;
  void describe(const AttachRequest& request, std::vector<Parameter> knobs);

  bool look();
  void look_at(Member& member, TimePoint now);
  void count_tokens(Member& member, double before);
  void begin_epoch();
  Status read_caps();
  Status write_cap(Member& member, std::int64_t cap);
  Config values(const Member& member) const;
  Flags wanted(const Member& member, const Config& setting) const;
  Status check_setting(const Config& setting, serving::Scope scope) const;
  Status put(Member& member, const Config& setting);
  void remember(const Config& setting, serving::Scope scope);
  bool another_serves(const Member& member) const;
  Config fleet_values() const;
  std::string stranger() const;

  haproxy::Front front_;
  Clock& clock_;
  serving::Capabilities capabilities_;
  std::vector<Knob> knobs_;
  std::vector<Member> members_;
  std::int64_t context_min_ = 1;  // tokens a slot must be able to hold
  Duration stall_ = std::chrono::seconds(60);
  Config fleet_asked_;            // the last setting for all
  std::optional<std::size_t> canary_;
  std::uint64_t restarts_ = 0;    // of servers, not by us
  bool answering_ = true;
};

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);
Result<Probe> probe(std::string_view url, Clock& clock);

}  // namespace arqon::adapters::llamacpp
