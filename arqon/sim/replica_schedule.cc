// What enters a step (equation page 2.3): decodes, then unfinished prefills, then the queue.
#include <algorithm>
#include <cmath>
#include <limits>

#include "arqon/base/assert.h"
#include "arqon/sim/kv_pool.h"
#include "arqon/sim/replica.h"

namespace arqon::sim {

bool Replica::start(Ps horizon) {
  while (now_ >= front_deadline()) shed_front();
  if (empty()) {
    if (waiting_.empty() || held_) return false;
    gaps_.clear();
    if (hold_for_batch(horizon)) return true;
  }
  const std::int64_t k =
      speculation_for(scheduler_.speculation, static_cast<std::int64_t>(decoding_.size()),
                      live_.speculative_decoding_k);
  if (speculation_ != k) respeculate(k);
  if (sampled_speculation_ != nullptr && speculation_ > 0) sample_speculation();
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
    return true;
  }
  if (!decoding_.empty()) {
    start_run(horizon);
    return true;
  }
  return false;
}

// ---- batchers that wait --------------------------------------------------------------------

// Requests that would be sent together now; 0 = it is better to wait.
std::int64_t Replica::batch_to_send() const {
  const auto waiting = static_cast<std::int64_t>(waiting_.size());
  if (waiting >= live_.batch_size) return live_.batch_size;
  std::int64_t preferred = 0;
  for (const std::int64_t size : scheduler_.preferred_batch_sizes) {
    if (size <= waiting) preferred = size;
  }
  if (preferred > 0) return std::min(preferred, live_.batch_size);
  const Ps wait = std::llround(live_.max_wait_ms * static_cast<double>(kPsPerMs));
  return now_ >= slab_[waiting_.front()].queued_at + wait ? waiting : 0;
}

// An idle engine holds the first request back until enough have come or it has waited enough.
bool Replica::hold_for_batch(Ps horizon) {
  batch_left_ = batch_to_send();
  if (batch_left_ > 0) return false;
  const Ps until = slab_[waiting_.front()].queued_at +
                   std::llround(live_.max_wait_ms * static_cast<double>(kPsPerMs));
  now_ = std::min(horizon, until);
  woken_ = true;
  return true;
}

// ---- room ----------------------------------------------------------------------------------

void Replica::make_room() {
  const std::int64_t other = partial_blocks() + cache_.correction();
  if (decode_blocks_bound(context_) + other <= blocks_) return;
  while (blocks_used() > blocks_) evict_last();
}

bool Replica::fits(std::int64_t blocks) const {
  const std::int64_t left =
      blocks_ - partial_blocks() - cache_.correction() - chunk_blocks_ - blocks;
  return decode_blocks_bound(context_) <= left || decode_blocks_exact(step_) <= left;
}

// A prompt enters only when all of it would fit now, or half-done prefills would thrash. Fills
// `hit` with what of it is cached; one token at least is computed.
bool Replica::admissible(SequenceId id, PrefixCache::Hit& hit) const {
  const Sequence& sequence = slab_[id];
  const std::int64_t target = sequence.prefill_target;
  if (scheduler_.prefix_caching && !sequence.kv_ready) {
    std::int64_t most = (target - 1) / boot_.block_size;
    // A draft head needs the hidden states of the last cached block: it is computed again.
    if (speculation_ > 0) most = std::min(most, target / boot_.block_size - 1);
    hit = cache_.find(walk(sequence, target), most);
  }
  const std::int64_t watermark =
      empty() ? 0
              : static_cast<std::int64_t>(scheduler_.watermark * static_cast<double>(blocks_));
  const std::int64_t shared = hit.newly_pinned - hit.hold.blocks;
  if (scheduler_.kind == SchedulerKind::kTensorRtLlm) {
    return reserved_blocks_ + cache_.correction() + whole_blocks(sequence) + shared + watermark <=
           blocks_;
  }
  // One that brings its KV cache decodes at once.
  const std::int64_t tokens = sequence.kv_ready ? target + speculation_ + 2 : target;
  return fits(blocks_of(tokens, boot_.block_size) + shared + watermark);
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

// ---- who gets in ---------------------------------------------------------------------------

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
      const auto found = std::find(partial_.begin(), partial_.end(), id);
      if (found == partial_.end()) return;  // it was this one
      i = static_cast<std::size_t>(found - partial_.begin());
    }
    add_chunk(id, tokens);
  }
}

void Replica::schedule_waiting() {
  std::int64_t budget = budget_left();
  while (!waiting_.empty() && budget > 0 &&
         static_cast<std::int64_t>(running()) < live_.batch_size) {
    if (scheduler_.kind == SchedulerKind::kTriton && batch_left_ == 0) return;
    const SequenceId id = waiting_.front();
    PrefixCache::Hit hit;
    if (!admissible(id, hit)) return;
    waiting_.pop_front();
    if (batch_left_ > 0) --batch_left_;
    budget -= admit(id, hit, budget);
  }
}

// Tokens of the budget that it takes in this step.
std::int64_t Replica::admit(SequenceId id, const PrefixCache::Hit& hit, std::int64_t budget) {
  Sequence& sequence = slab_[id];
  sequence.admission = admissions_++;
  if (scheduler_.kind == SchedulerKind::kTensorRtLlm) reserved_blocks_ += whole_blocks(sequence);
  if (sequence.kv_ready) {
    sequence.kv_ready = false;
    joined_.push_back(id);
    start_decoding(id, std::int64_t{sequence.prefill_target} + 1);
    return speculation_ + 1;
  }
  const std::int64_t cached = hit.hold.blocks * boot_.block_size;
  if (scheduler_.prefix_caching) {
    cache_.acquire(hit);
    sequence.prefix = hit.hold;
    sequence.prefilled = static_cast<std::uint32_t>(cached);
    partial_tokens_ += cached;
    queued_tokens_ -= cached;
  }
  stats_.prompt_tokens += sequence.prefill_target;
  stats_.cached_tokens += static_cast<std::uint64_t>(cached);
  if (sequence.lost > cached) {
    stats_.recomputed_tokens += sequence.lost - static_cast<std::uint64_t>(cached);
  }
  sequence.lost = 0;
  const std::int64_t tokens = chunk_tokens(sequence, budget);
  add_chunk(id, tokens);
  partial_.push_back(id);
  return tokens;
}

// ---- deadlines -----------------------------------------------------------------------------

// When the request at the head of the queue gives up.
Ps Replica::front_deadline() const {
  constexpr Ps kNever = std::numeric_limits<Ps>::max();
  if (live_.deadline_shed <= 0 || waiting_.empty()) return kNever;
  const Sequence& front = slab_[waiting_.front()];
  return front.first_token != 0 ? kNever
                                : account_.queue_deadline(front, live_.deadline_shed);
}

void Replica::shed_front() {
  const SequenceId id = waiting_.front();
  waiting_.pop_front();
  if (batch_left_ > 0) --batch_left_;
  Sequence& sequence = slab_[id];
  queued_tokens_ -= std::int64_t{sequence.prefill_target} - std::int64_t{sequence.prefilled};
  sequence.forward = Forward::kShed;
  ARQON_ASSERT(forwarded_ != nullptr);
  forwarded_->push_back({now_, id});
}

// ---- eviction ------------------------------------------------------------------------------

// Backfill first, then whoever was admitted last.
void Replica::evict_last() {
  ARQON_ASSERT(!empty() && scheduler_.kind != SchedulerKind::kTensorRtLlm);
  evicted_ = true;
  ++stats_.preemptions;
  const auto before = [&](SequenceId a, SequenceId b) {
    const Sequence &x = slab_[a], &y = slab_[b];
    return x.backfill != y.backfill ? y.backfill : x.admission < y.admission;
  };
  const auto last = std::max_element(
      decoding_.begin(), decoding_.end(),
      [&](const Decoding& a, const Decoding& b) { return before(a.id, b.id); });
  if (!partial_.empty()) {
    const auto half_done = std::max_element(partial_.begin(), partial_.end(), before);
    if (last == decoding_.end() || before(last->id, *half_done)) {
      std::rotate(half_done, half_done + 1, partial_.end());
      return evict_partial();
    }
  }
  evict_decoding(static_cast<std::size_t>(last - decoding_.begin()));
}

void Replica::evict_partial() {
  const SequenceId id = partial_.back();
  partial_.pop_back();
  Sequence& sequence = slab_[id];
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    if (chunks_[i].id != id) continue;
    const std::int64_t held = sequence.prefilled;
    chunk_blocks_ -= blocks_of(held + chunks_[i].tokens, boot_.block_size) -
                     blocks_of(held, boot_.block_size);
    chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  partial_tokens_ -= sequence.prefilled;
  queued_tokens_ += sequence.prefilled;
  const std::int64_t computed = sequence.prefilled;
  sequence.prefilled = 0;
  requeue(id, computed);
}

void Replica::evict_decoding(std::size_t index) {
  const SequenceId id = decoding_[index].id;
  Sequence& sequence = slab_[id];
  const std::int64_t context = context_at(sequence, step_);
  context_ -= context;
  context_rate_ -= sequence.rate;
  const std::int64_t whole = std::int64_t{sequence.prompt} + std::int64_t{sequence.output} - 1;
  sequence.prefill_target = static_cast<std::uint32_t>(std::min(context / kContextUnit, whole));
  sequence.prefilled = 0;
  sequence.gap = gap_of(sequence);
  sequence.last_token = now_;
  queued_tokens_ += sequence.prefill_target;
  decoding_[index] = decoding_.back();
  decoding_.pop_back();
  std::make_heap(decoding_.begin(), decoding_.end(), Later{});
  requeue(id, std::int64_t{sequence.prefill_target} - 1);
}

void Replica::requeue(SequenceId id, std::int64_t computed) {
  Sequence& sequence = slab_[id];
  sequence.lost = static_cast<std::uint32_t>(computed);
  leave(sequence, computed);
  waiting_.push_front(id, sequence.backfill);
}

// ---- speculation (2.6) ---------------------------------------------------------------------

void Replica::respeculate(std::int64_t k) {
  speculation_ = k;
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

// This step's accepted drafts, drawn for every sequence.
void Replica::sample_speculation() {
  context_rate_ = 0;
  for (Decoding& d : decoding_) {
    Sequence& sequence = slab_[d.id];
    sequence.base_context = context_at(sequence, step_);
    sequence.base_step = step_;
    const AcceptanceCurve curve(static_cast<double>(sequence.acceptance), sequence.acceptance_row);
    const std::int64_t tokens =
        draw_tokens(curve, speculation_, sampled_speculation_->stream(sequence.trace_index),
                    sequence.base_context / kContextUnit, sequence.match);
    sequence.rate = static_cast<std::uint32_t>(tokens * kContextUnit);
    d.finish_step = finish_step(sequence);
    context_rate_ += sequence.rate;
  }
  std::make_heap(decoding_.begin(), decoding_.end(), Later{});
}

std::int64_t Replica::plan(Sequence& sequence) const {
  double tokens = 1;
  if (speculation_ > 0) {
    const AcceptanceCurve curve(static_cast<double>(sequence.acceptance), sequence.acceptance_row);
    tokens = tokens_per_step(curve, speculation_);
  }
  sequence.rate = static_cast<std::uint32_t>(std::llround(double{kContextUnit} * tokens));
  return finish_step(sequence);
}

std::int64_t Replica::finish_step(const Sequence& sequence) const {
  const std::int64_t end =
      kContextUnit * (std::int64_t{sequence.prompt} + std::int64_t{sequence.output});
  const std::int64_t left = std::max<std::int64_t>(1, end - sequence.base_context);
  return sequence.base_step + (left + sequence.rate - 1) / sequence.rate;
}

}  // namespace arqon::sim
