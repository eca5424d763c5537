// How long a step takes, how many of them are taken at once (equation page 2.4), and what has
// happened when they are over.
#include <algorithm>
#include <bit>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/sim/replica.h"

namespace arqon::sim {

void Replica::start_mixed() {
  StepShape shape{.decodes = static_cast<std::int64_t>(decoding_.size()),
                  .speculation = speculation_,
                  .chunks = static_cast<std::int64_t>(chunks_.size())};
  for (const Chunk& chunk : chunks_) {
    const Sequence& sequence = slab_[chunk.id];
    const double n = chunk.tokens;
    shape.chunk_tokens += chunk.tokens;
    shape.chunk_attention += n * (static_cast<double>(sequence.prefilled) + n / 2);
    if (sequence.prefilled + chunk.tokens == sequence.prefill_target) ++shape.chunks_completed;
  }
  take_blocks(1);
  Ps duration = noise_.scale(step_time_->base(shape)) +
                noise_.scale(step_time_->ps_per_context_unit()) * context_;
  if (noise_.stall_at() <= now_) duration += noise_.take_stall();
  count_run(duration, 0, 1, duration);
}

Ps Replica::decode_base() {
  const auto k = static_cast<std::size_t>(speculation_);
  const std::size_t n = decoding_.size();
  if (k >= decode_base_.size()) decode_base_.resize(k + 1);
  std::vector<Ps>& bases = decode_base_[k];
  constexpr std::size_t kFirstSize = 1025;  // vLLM's largest default cap: no growth in the loop
  if (n >= bases.size()) bases.resize(std::max({n + 1, 2 * bases.size(), kFirstSize}));
  if (bases[n] == 0) {
    bases[n] =
        step_time_->base({.decodes = static_cast<std::int64_t>(n), .speculation = speculation_});
  }
  return bases[n];
}

// n sequences decode and nobody can enter: step j lasts first + growth * j, because context grows
// by the same amount at every step.
void Replica::start_run(Ps horizon) {
  const std::int64_t slope = noise_.scale(step_time_->ps_per_context_unit());
  Ps first = noise_.scale(decode_base()) + slope * context_;
  const Ps growth = slope * context_rate_;
  const bool sampled = sampled_speculation_ != nullptr && speculation_ > 0;
  std::int64_t steps = 1;
  if (noise_.stall_at() <= now_) {
    first += noise_.take_stall();
  } else if (!step_by_step_ && !evicted_ && !sampled) {
    const Ps until = std::min({horizon, noise_.cell_end(), noise_.stall_at(), front_deadline()});
    steps = run_length(first, growth, until);
  }
  take_blocks(steps);
  count_run(first, growth, steps, steps * first + growth * (steps * (steps - 1) / 2));
}

// Steps up to the first that starts at `horizon` or later, the first end of an answer, or the first
// that might not find its blocks.
std::int64_t Replica::run_length(Ps first, Ps growth, Ps horizon) const {
  const std::int64_t most = std::min(decoding_.front().finish_step - step_, steps_until_full());
  const auto started_by = [&](std::int64_t k) {
    return now_ + k * first + growth * (k * (k - 1) / 2);
  };
  const Ps room = horizon - now_;
  if (most <= 1 || room <= first) return 1;
  // Largest root of the quadratic in doubles, then put right in integers.
  const double d = static_cast<double>(first), g = static_cast<double>(growth);
  const double b = d - g / 2, w = static_cast<double>(room);
  const double root = 2 * w / (b + std::sqrt(b * b + 2 * g * w));
  std::int64_t k = std::max<std::int64_t>(1, std::llround(std::ceil(root)));
  if (k >= most) k = most;
  while (k > 1 && started_by(k - 1) >= horizon) --k;
  while (k < most && started_by(k) < horizon) ++k;
  return k;
}

void Replica::count_run(Ps first, Ps growth, std::int64_t steps, Ps total) {
  ARQON_ASSERT(first > 0 && total > 0);
  pending_ = {steps, now_ + total, first + growth * (steps - 1)};
  const std::uint64_t n = decoding_.size();
  const auto k = static_cast<std::uint64_t>(steps);
  stats_.steps += k;
  stats_.busy += total;
  stats_.decode_steps += n * k;
  stats_.decode_units += k * static_cast<std::uint64_t>(context_rate_);
  stats_.batch[static_cast<std::size_t>(63 - std::countl_zero(std::uint64_t{running()}))] += k;
  const std::int64_t held =
      context_ + partial_tokens_ * kContextUnit +
      static_cast<std::int64_t>(running()) * (boot_.block_size - 1) * (kContextUnit / 2) +
      cache_.correction() * boot_.block_size * kContextUnit;
  stats_.context_max = std::max(stats_.context_max, held + (steps - 1) * context_rate_);
  // Sum over j < k of (first + growth * j) * (held + rate * j).
  const Wide j1 = Wide{k} * (k - 1) / 2, j2 = Wide{k} * (k - 1) * (2 * k - 1) / 6;
  const auto d = static_cast<Wide>(first), g = static_cast<Wide>(growth);
  const auto h = static_cast<Wide>(std::max<std::int64_t>(held, 0));
  const auto r = static_cast<Wide>(context_rate_);
  stats_.context_time += k * d * h + (d * r + g * h) * j1 + g * r * j2;
  if (step_log_ != nullptr) log_run(steps);
}

void Replica::log_run(std::int64_t steps) const {
  std::uint32_t tokens = 0;
  for (const Chunk& chunk : chunks_) tokens += chunk.tokens;
  step_log_->add({.begin = now_,
                  .end = pending_.end,
                  .steps = static_cast<std::uint32_t>(steps),
                  .decodes = static_cast<std::uint32_t>(decoding_.size()),
                  .chunks = static_cast<std::uint32_t>(chunks_.size()),
                  .chunk_tokens = tokens,
                  .waiting = static_cast<std::uint32_t>(waiting_.size()),
                  .kv_use = static_cast<float>(kv_use()),
                  .replica = static_cast<std::uint16_t>(index_)});
}

// ---- the end of a step or a run ------------------------------------------------------------

void Replica::settle() {
  ARQON_ASSERT(pending_.end > now_);
  now_ = pending_.end;
  step_ += pending_.steps;
  context_ += pending_.steps * context_rate_;
  if (!decoding_.empty()) gaps_.push(step_, pending_.last_duration);
  pending_.steps = 0;
  settle_joined();
  while (!decoding_.empty() && decoding_.front().finish_step <= step_) {
    const SequenceId id = decoding_.front().id;
    std::pop_heap(decoding_.begin(), decoding_.end(), Later{});
    decoding_.pop_back();
    const Sequence& sequence = slab_[id];
    context_ -= context_at(sequence, step_);
    context_rate_ -= sequence.rate;
    finish(id, gap_of(sequence));
  }
  if (!chunks_.empty()) settle_chunks();
}

void Replica::settle_chunks() {
  bool completed = false;
  for (const Chunk& chunk : chunks_) {
    Sequence& sequence = slab_[chunk.id];
    sequence.prefilled += chunk.tokens;
    partial_tokens_ += chunk.tokens;
    queued_tokens_ -= chunk.tokens;
    completed = completed || sequence.prefilled == sequence.prefill_target;
    if (scheduler_.prefix_caching) {
      cache_.extend(sequence.prefix, walk(sequence, sequence.prefilled));
    }
  }
  chunks_.clear();
  if (!completed) return;
  std::size_t kept = 0;
  for (const SequenceId id : partial_) {
    const Sequence& sequence = slab_[id];
    if (sequence.prefilled == sequence.prefill_target) {
      partial_tokens_ -= sequence.prefilled;
      begin_decoding(id);
    } else {
      partial_[kept++] = id;
    }
  }
  partial_.resize(kept);
}

void Replica::begin_decoding(SequenceId id) {
  Sequence& sequence = slab_[id];
  ARQON_ASSERT(now_ > sequence.queued_at);
  if (sequence.first_token == 0) {
    sequence.first_token = now_;
    // Whoever reads an answer that is not trusted reads the larger model's.
    if (sequence.forward != Forward::kAfterAnswer) account_.first_token(sequence);
  } else {
    sequence.gap = std::max(sequence.gap, now_ - sequence.last_token);
    sequence.last_token = 0;
  }
  const std::int64_t context = std::int64_t{sequence.prefill_target} + 1;
  if (context >= std::int64_t{sequence.prompt} + std::int64_t{sequence.output}) {
    finish(id, sequence.gap);
    return;
  }
  if (sequence.forward == Forward::kAfterPrefill) {
    leave(sequence, sequence.prefill_target);
    sequence.kv_ready = true;
    sequence.last_token = now_;
    forwarded_->push_back({now_, id});
    return;
  }
  start_decoding(id, context);
}

// The next token of one that brought its KV cache ends the pause since its last.
void Replica::settle_joined() {
  for (const SequenceId id : joined_) {
    Sequence& sequence = slab_[id];
    sequence.gap = std::max(sequence.gap, now_ - sequence.last_token);
    sequence.last_token = 0;
    sequence.gap_step = step_;
  }
  joined_.clear();
}

void Replica::start_decoding(SequenceId id, std::int64_t context) {
  Sequence& sequence = slab_[id];
  sequence.base_step = sequence.gap_step = step_;
  sequence.base_context = context * kContextUnit;
  const std::int64_t finish_step = plan(sequence);
  context_ += sequence.base_context;
  context_rate_ += sequence.rate;
  decoding_.push_back({finish_step, sequence.admission, id});
  std::push_heap(decoding_.begin(), decoding_.end(), Later{});
}

Ps Replica::gap_of(const Sequence& sequence) const {
  return std::max(sequence.gap, gaps_.max_after(sequence.gap_step));
}

void Replica::finish(SequenceId id, Ps gap) {
  Sequence& sequence = slab_[id];
  // The last token was never put into the model: it has no KV.
  leave(sequence, std::int64_t{sequence.prompt} + std::int64_t{sequence.output} - 1);
  if (sequence.forward == Forward::kAfterAnswer) {
    forwarded_->push_back({now_, id});
    return;
  }
  account_.finish(sequence, now_, gap, index_);
  if (finished_slots_ != nullptr) finished_slots_->push_back({now_, sequence.slot});
  slab_.free(id);
}

}  // namespace arqon::sim
