// HAProxy as a live engine. Knobs, both live and exact over the runtime socket:
//   router.router_weights  shares of the servers of one backend
//   POOL.batch_size        maxconn, where the backend has one server: then HAProxy queues what is
//                          beyond it. With several servers a full one is skipped instead, which
//                          moves traffic and caps nothing, so that is refused.
// Outcomes come from the log, waiting from the counters. A reload is a new epoch: counters and
// runtime values are gone, and `effective` says so.
#pragma once

#include <memory>
#include <string_view>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/haproxy/front.h"
#include "arqon/adapters/haproxy/weights.h"
#include "arqon/base/result.h"
#include "arqon/serving/engine.h"
#include "arqon/serving/second_hand.h"

namespace arqon::adapters::haproxy {

class HaproxyEngine final : public serving::Engine, public serving::SecondHand {
 public:
  static Result<std::unique_ptr<HaproxyEngine>> attach(const AttachRequest& request);

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status requalify() override;
  void written_for_us(const Config& setting, serving::Scope scope) override;

  // The newest look, for those who show more than an Observation holds.
  const Front& front() const { return front_; }
  Front& router() { return front_; }
  const ShareCheck& shares() const { return share_check_; }

 private:
  struct Bound {
    enum class What : std::uint8_t { kWeights, kMaxconn } what = What::kWeights;
    std::size_t slot = 0;  // first in a Config
    std::vector<std::size_t> server;  // per slot: place in the backend
  };
  HaproxyEngine(Front front, Clock& clock) : front_(std::move(front)), clock_(clock) {}
  Status bind(const AttachRequest& request);
  Result<Bound> bind_knob(const Parameter& parameter, std::size_t slot) const;
  Result<Bound> bind_weights(const Parameter& parameter, std::size_t slot) const;
  Result<Bound> bind_maxconn(const Parameter& parameter, std::size_t slot) const;
  std::vector<Parameter> offered() const;
  void describe(const AttachRequest& request, std::vector<Parameter> knobs);
  Config in_force() const;
  bool look();
  Status write(const Bound& bound, const Config& setting);
  std::vector<int> asked_weights(const Bound& bound, const Config& setting) const;
  void expect_shares();

  Front front_;
  Clock& clock_;
  serving::Capabilities capabilities_;
  std::vector<Bound> bound_;
  // The last setting written, as asked: weights are integers, and a setting is in force when its
  // integers are.
  Config asked_;
  ShareCheck share_check_;
  bool answering_ = true;
  serving::Observation last_;
};

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);
// `url`: the path of the runtime socket, with or without "unix:" or "unix://" in front; "#BACKEND"
// behind it picks one backend.
Result<Probe> probe(std::string_view url, Clock& clock);

}  // namespace arqon::adapters::haproxy
