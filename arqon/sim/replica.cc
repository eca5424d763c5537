#include "arqon/sim/replica.h"

#include <algorithm>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {
constexpr std::size_t kUsual = 1024;
}  // namespace

Replica::Replica(ReplicaOptions options, Noise noise, SequenceSlab& slab, Account& account)
    : slab_(slab),
      account_(account),
      step_time_(std::move(options.step_time)),
      noise_(noise),
      scheduler_(std::move(options.scheduler)),
      index_(options.index),
      step_by_step_(options.step_by_step),
      sampled_speculation_(options.sampled_speculation),
      finished_slots_(options.finished_slots),
      forwarded_(options.forwarded),
      step_log_(std::move(options.step_log)),
      live_(options.settings.live),
      boot_(options.settings.boot),
      blocks_(options.blocks) {
  ARQON_ASSERT(blocks_ > 0 && step_time_ != nullptr);
  // Room for what a usual load needs: once warm, the loop asks for no memory.
  decoding_.reserve(kUsual);
  partial_.reserve(kUsual);
  chunks_.reserve(kUsual);
  gaps_.reserve(kUsual);
}

void Replica::advance_to(Ps t) {
  while (true) {
    if (pending_.steps > 0) {
      if (pending_.end > t) return;
      settle();
    }
    if (now_ >= t) return;
    if (!start(t)) {
      now_ = t;
      woken_ = true;
      return;
    }
  }
}

void Replica::enqueue(SequenceId id, Ps t) {
  Sequence& sequence = slab_[id];
  ARQON_ASSERT(sequence.arrival <= t && sequence.prefix.tail == PrefixHold::kNone);
  sequence.queued_at = t;
  waiting_.push_back(id, sequence.backfill);
  queued_tokens_ += std::int64_t{sequence.prefill_target} - std::int64_t{sequence.prefilled};
}

bool Replica::refuses() const {
  return live_.queued_token_limit > 0 && queued_tokens_ > live_.queued_token_limit;
}

void Replica::reboot(const BootSettings& boot, std::int64_t blocks, Ps t) {
  ARQON_ASSERT(empty() && blocks > 0);
  boot_ = boot;
  blocks_ = blocks;
  cache_.clear();
  now_ = std::max(now_, t);
  woken_ = true;
}

std::vector<SequenceId> Replica::take_queue() {
  std::vector<SequenceId> out;
  out.reserve(waiting_.size());
  waiting_.each([&](SequenceId id) {
    queued_tokens_ -= std::int64_t{slab_[id].prefill_target} - std::int64_t{slab_[id].prefilled};
    out.push_back(id);
  });
  waiting_.clear();
  return out;
}

std::vector<SequenceId> Replica::fail(Ps t) {
  std::vector<SequenceId> lost(partial_);
  for (const Decoding& d : decoding_) {
    slab_[d.id].gap = gap_of(slab_[d.id]);
    lost.push_back(d.id);
  }
  std::sort(lost.begin(), lost.end(), [&](SequenceId a, SequenceId b) {
    return slab_[a].admission < slab_[b].admission;
  });
  for (const SequenceId id : lost) slab_[id].prefix = {};
  waiting_.each([&](SequenceId id) { lost.push_back(id); });
  decoding_.clear();
  partial_.clear();
  chunks_.clear();
  joined_.clear();
  waiting_.clear();
  cache_.clear();
  gaps_.clear();
  context_ = context_rate_ = queued_tokens_ = partial_tokens_ = chunk_blocks_ = 0;
  reserved_blocks_ = batch_left_ = 0;
  pending_ = {};
  now_ = t;
  woken_ = true;
  return lost;
}

void Replica::judge(Ps now) {
  waiting_.each([&](SequenceId id) { account_.judge_waiting(slab_[id], now); });
  for (const SequenceId id : partial_) account_.judge_waiting(slab_[id], now);
  if (!account_.gap_matters(gaps_.max()) && !account_.judges_e2e()) return;
  for (const Decoding& d : decoding_) {
    Sequence& sequence = slab_[d.id];
    account_.judge_decoding(sequence, gap_of(sequence), now);
  }
}

double Replica::kv_use() const {
  const auto capacity = static_cast<double>(blocks_ * boot_.block_size);
  const double half_blocks =
      static_cast<double>(running()) * static_cast<double>(boot_.block_size - 1) / 2;
  const double tokens = static_cast<double>(context_) / double{kContextUnit} +
                        static_cast<double>(partial_tokens_) + half_blocks +
                        static_cast<double>(cache_.correction() * boot_.block_size);
  return std::clamp(tokens / capacity, 0.0, 1.0);
}

}  // namespace arqon::sim
