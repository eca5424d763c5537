#include "arqon/sim/replica.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {

// Mean tokens per step with k drafts of conditional acceptance a: 1 + a + ... + a^k.
double tokens_per_step(double a, std::int64_t k) {
  double sum = 1;
  for (std::int64_t i = 0; i < k; ++i) sum = 1 + a * sum;
  return sum;
}

}  // namespace

Replica::Replica(ReplicaOptions options, Noise noise, SequenceSlab& slab, Account& account)
    : slab_(slab),
      account_(account),
      step_time_(std::move(options.step_time)),
      noise_(noise),
      index_(options.index),
      step_by_step_(options.step_by_step),
      finished_slots_(options.finished_slots),
      forwarded_(options.forwarded),
      live_(options.settings.live),
      boot_(options.settings.boot),
      blocks_(options.blocks),
      speculation_(live_.speculative_decoding_k),
      step_log_(std::move(options.step_log)) {
  ARQON_ASSERT(blocks_ > 0 && step_time_ != nullptr);
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
  if (waiting_.empty()) waiting_since_ = t;
  waiting_.push_back(id);
  queued_tokens_ += std::int64_t{slab_[id].prefill_target} - std::int64_t{slab_[id].prefilled};
}

bool Replica::refuses() const {
  return live_.queued_token_limit > 0 && queued_tokens_ > live_.queued_token_limit;
}

void Replica::reboot(const BootSettings& boot, std::int64_t blocks, Ps t) {
  ARQON_ASSERT(empty() && blocks > 0);
  boot_ = boot;
  blocks_ = blocks;
  now_ = std::max(now_, t);
  woken_ = true;
}

std::deque<SequenceId> Replica::take_queue() {
  for (const SequenceId id : waiting_) {
    queued_tokens_ -= std::int64_t{slab_[id].prefill_target} - std::int64_t{slab_[id].prefilled};
  }
  return std::exchange(waiting_, {});
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
  lost.insert(lost.end(), waiting_.begin(), waiting_.end());
  decoding_.clear();
  partial_.clear();
  chunks_.clear();
  joined_.clear();
  waiting_.clear();
  gaps_.clear();
  context_ = context_rate_ = queued_tokens_ = partial_tokens_ = chunk_blocks_ = 0;
  pending_ = {};
  now_ = t;
  woken_ = true;
  return lost;
}

void Replica::judge(Ps now) {
  for (const SequenceId id : waiting_) account_.judge_waiting(slab_[id], now);
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
                        static_cast<double>(partial_tokens_) + half_blocks;
  return std::min(1.0, tokens / capacity);
}

// ---- scheduling ----------------------------------------------------------------------------

bool Replica::start(Ps horizon) {
  if (empty()) {
    if (waiting_.empty() || held_) return false;
    gaps_.clear();
    if (hold_for_batch(horizon)) return true;
  }
  if (speculation_ != live_.speculative_decoding_k) respeculate();
  noise_.seek(now_);
  if (woken_) noise_.skip_stalls(now_);
  woken_ = false;
  chunks_.clear();
  chunk_blocks_ = 0;
  evicted_ = false;
  make_room();
  schedule_partial();
  if (!evicted_ && !held_) schedule_waiting();
  if (!chunks_.empty() || !joined_.empty()) {
    start_mixed();
  } else {
    if (decoding_.empty()) return false;
    start_run(horizon);
  }
  return true;
}

bool Replica::hold_for_batch(Ps horizon) {
  if (live_.max_wait_ms <= 0) return false;
  if (static_cast<std::int64_t>(waiting_.size()) >= live_.batch_size) return false;
  const Ps until = waiting_since_ + std::llround(live_.max_wait_ms * static_cast<double>(kPsPerMs));
  if (now_ >= until) return false;
  now_ = std::min(horizon, until);
  woken_ = true;
  return true;
}

void Replica::make_room() {
  if (decode_blocks_bound() + partial_blocks() <= blocks_) return;
  while (decode_blocks_exact() + partial_blocks() > blocks_) evict_last();
}

bool Replica::fits(std::int64_t blocks) const {
  const std::int64_t left = blocks_ - partial_blocks() - chunk_blocks_ - blocks;
  return decode_blocks_bound() <= left || decode_blocks_exact() <= left;
}

std::int64_t Replica::budget_left() const {
  std::int64_t left =
      live_.prefill_token_budget - static_cast<std::int64_t>(decoding_.size()) * (speculation_ + 1);
  for (const Chunk& chunk : chunks_) left -= chunk.tokens;
  return left;
}

std::int64_t Replica::chunk_tokens(const Sequence& sequence, std::int64_t budget) const {
  std::int64_t tokens = std::int64_t{sequence.prefill_target} - std::int64_t{sequence.prefilled};
  if (live_.long_prefill_threshold > 0) tokens = std::min(tokens, live_.long_prefill_threshold);
  return std::min(tokens, budget);
}

void Replica::add_chunk(SequenceId id, std::int64_t tokens) {
  const std::int64_t held = slab_[id].prefilled;
  chunk_blocks_ += blocks_of(held + tokens, boot_.block_size) - blocks_of(held, boot_.block_size);
  chunks_.push_back({id, static_cast<std::uint32_t>(tokens)});
}

void Replica::schedule_partial() {
  for (std::size_t i = 0; i < partial_.size(); ++i) {
    const std::int64_t budget = budget_left();
    if (budget <= 0) return;
    const SequenceId id = partial_[i];
    const std::int64_t tokens = chunk_tokens(slab_[id], budget);
    const std::int64_t held = slab_[id].prefilled;
    const std::int64_t more =
        blocks_of(held + tokens, boot_.block_size) - blocks_of(held, boot_.block_size);
    while (!fits(more)) {
      evict_last();
      if (i >= partial_.size()) return;  // it was this one
    }
    add_chunk(id, tokens);
  }
}

void Replica::schedule_waiting() {
  std::int64_t budget = budget_left();
  while (!waiting_.empty() && budget > 0 &&
         static_cast<std::int64_t>(running()) < live_.batch_size) {
    const SequenceId id = waiting_.front();
    Sequence& sequence = slab_[id];
    // A prompt enters only when all of it would fit now, or half-done prefills would thrash.
    if (!fits(blocks_of(sequence.prefill_target, boot_.block_size))) return;
    waiting_.pop_front();
    sequence.admission = admissions_++;
    if (sequence.kv_ready) {
      sequence.kv_ready = false;
      joined_.push_back(id);
      start_decoding(id, std::int64_t{sequence.prefill_target} + 1);
      budget -= speculation_ + 1;
      continue;
    }
    const std::int64_t tokens = chunk_tokens(sequence, budget);
    add_chunk(id, tokens);
    partial_.push_back(id);
    budget -= tokens;
  }
}

void Replica::evict_last() {
  ARQON_ASSERT(!empty());
  evicted_ = true;
  ++stats_.preemptions;
  const auto last = std::max_element(
      decoding_.begin(), decoding_.end(),
      [](const Decoding& a, const Decoding& b) { return a.admission < b.admission; });
  if (last == decoding_.end() ||
      (!partial_.empty() && slab_[partial_.back()].admission > last->admission)) {
    const SequenceId id = partial_.back();
    partial_.pop_back();
    Sequence& sequence = slab_[id];
    stats_.recomputed_tokens += sequence.prefilled;
    partial_tokens_ -= sequence.prefilled;
    queued_tokens_ += sequence.prefilled;
    sequence.prefilled = 0;
    waiting_.push_front(id);
    return;
  }
  const SequenceId id = last->id;
  Sequence& sequence = slab_[id];
  const std::int64_t context = context_at(sequence, step_);
  context_ -= context;
  context_rate_ -= sequence.rate;
  const std::int64_t whole = std::int64_t{sequence.prompt} + std::int64_t{sequence.output} - 1;
  sequence.prefill_target = static_cast<std::uint32_t>(std::min(context / kContextUnit, whole));
  sequence.prefilled = 0;
  sequence.gap = gap_of(sequence);
  sequence.last_token = now_;
  stats_.recomputed_tokens += sequence.prefill_target;
  queued_tokens_ += sequence.prefill_target;
  waiting_.push_front(id);
  *last = decoding_.back();
  decoding_.pop_back();
  std::make_heap(decoding_.begin(), decoding_.end(), Later{});
}

void Replica::respeculate() {
  speculation_ = live_.speculative_decoding_k;
  decode_base_.clear();
  context_rate_ = 0;
  for (Decoding& d : decoding_) {
    Sequence& sequence = slab_[d.id];
    sequence.base_context = context_at(sequence, step_);
    sequence.base_step = step_;
    d.finish_step = plan(sequence);
    context_rate_ += sequence.rate;
  }
  std::make_heap(decoding_.begin(), decoding_.end(), Later{});
}

std::int64_t Replica::plan(Sequence& sequence) const {
  sequence.rate = static_cast<std::uint32_t>(
      std::llround(double{kContextUnit} *
                   tokens_per_step(static_cast<double>(sequence.acceptance), speculation_)));
  const std::int64_t end =
      kContextUnit * (std::int64_t{sequence.prompt} + std::int64_t{sequence.output});
  const std::int64_t left = std::max<std::int64_t>(1, end - sequence.base_context);
  return sequence.base_step + (left + sequence.rate - 1) / sequence.rate;
}

// ---- blocks --------------------------------------------------------------------------------

std::int64_t Replica::decode_blocks_exact() const {
  std::int64_t blocks = 0;
  for (const Decoding& d : decoding_) {
    const Sequence& sequence = slab_[d.id];
    const std::int64_t tokens =
        std::min(context_at(sequence, step_) / kContextUnit + speculation_ + 1,
                 std::int64_t{sequence.prompt} + std::int64_t{sequence.output});
    blocks += blocks_of(tokens, boot_.block_size);
  }
  return blocks;
}

std::int64_t Replica::decode_blocks_bound() const {
  const auto n = static_cast<std::int64_t>(decoding_.size());
  return (context_ + n * (speculation_ + boot_.block_size) * kContextUnit) /
         (boot_.block_size * kContextUnit);
}

std::int64_t Replica::partial_blocks() const {
  std::int64_t blocks = 0;
  for (const SequenceId id : partial_) {
    blocks += blocks_of(slab_[id].prefilled, boot_.block_size);
  }
  return blocks;
}

std::int64_t Replica::blocks_used() const { return decode_blocks_exact() + partial_blocks(); }

std::int64_t Replica::steps_until_full() const {
  const auto n = static_cast<std::int64_t>(decoding_.size());
  const std::int64_t room = (blocks_ - partial_blocks() + 1) * boot_.block_size * kContextUnit - 1 -
                            n * (speculation_ + boot_.block_size) * kContextUnit - context_;
  return room < 0 ? 1 : room / context_rate_ + 1;
}

// ---- steps ---------------------------------------------------------------------------------

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
  Ps duration = noise_.scale(step_time_->base(shape)) +
                noise_.scale(step_time_->ps_per_context_unit()) * context_;
  if (noise_.stall_at() <= now_) duration += noise_.take_stall();
  count_run(duration, 0, 1, duration);
}

Ps Replica::decode_base() {
  const std::size_t n = decoding_.size();
  if (n >= decode_base_.size()) decode_base_.resize(n + 1);
  if (decode_base_[n] == 0) {
    decode_base_[n] =
        step_time_->base({.decodes = static_cast<std::int64_t>(n), .speculation = speculation_});
  }
  return decode_base_[n];
}

void Replica::start_run(Ps horizon) {
  const std::int64_t slope = noise_.scale(step_time_->ps_per_context_unit());
  Ps first = noise_.scale(decode_base()) + slope * context_;
  const Ps growth = slope * context_rate_;
  std::int64_t steps = 1;
  if (noise_.stall_at() <= now_) {
    first += noise_.take_stall();
  } else if (!step_by_step_ && !evicted_) {
    steps = run_length(first, growth, std::min({horizon, noise_.cell_end(), noise_.stall_at()}));
  }
  count_run(first, growth, steps, steps * first + growth * (steps * (steps - 1) / 2));
}

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
  pending_ = {steps, now_ + total, first + growth * (steps - 1)};
  if (step_log_ != nullptr) log_run(steps);
  const std::uint64_t n = decoding_.size();
  const auto k = static_cast<std::uint64_t>(steps);
  stats_.steps += k;
  stats_.busy += total;
  stats_.decode_steps += n * k;
  stats_.decode_units += k * static_cast<std::uint64_t>(context_rate_);
  stats_.batch[static_cast<std::size_t>(63 - std::countl_zero(std::uint64_t{running()}))] += k;
  const std::int64_t held =
      context_ + partial_tokens_ * kContextUnit +
      static_cast<std::int64_t>(running()) * (boot_.block_size - 1) * (kContextUnit / 2);
  stats_.context_max = std::max(stats_.context_max, held + (steps - 1) * context_rate_);
  // Sum over j < k of (first + growth * j) * (held + rate * j).
  const Wide j1 = Wide{k} * (k - 1) / 2, j2 = Wide{k} * (k - 1) * (2 * k - 1) / 6;
  const auto d = static_cast<Wide>(first), g = static_cast<Wide>(growth);
  const auto h = static_cast<Wide>(held), r = static_cast<Wide>(context_rate_);
  stats_.context_time += k * d * h + (d * r + g * h) * j1 + g * r * j2;
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

void Replica::settle() {
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
  if (sequence.forward == Forward::kAfterAnswer) {
    forwarded_->push_back({now_, id});
    return;
  }
  account_.finish(sequence, now_, gap, index_);
  if (finished_slots_ != nullptr) finished_slots_->push_back({now_, sequence.slot});
  slab_.free(id);
}

}  // namespace arqon::sim
