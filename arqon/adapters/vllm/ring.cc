#include "arqon/adapters/vllm/ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>

namespace arqon::adapters::vllm {
namespace {

constexpr std::uint64_t kMagic = 0x31474e5256515241;  // "ARQVRNG1"
constexpr std::int64_t kLayout = 1;
constexpr std::uint64_t kCapacity = 16384;
constexpr std::size_t kHeaderWords = 8, kRecordWords = 16;
constexpr std::size_t kWords = kHeaderWords + kCapacity * kRecordWords;
// Words of the header.
constexpr std::size_t kMagicWord = 0, kLayoutWord = 1, kCapacityWord = 2, kWrittenWord = 3,
                      kStartWord = 5;

constexpr std::int64_t kTokensMax = std::int64_t{1} << 32;
constexpr std::int64_t kMicrosecondsMax = std::int64_t{1} << 50;  // 35 years

std::int64_t load(std::span<std::int64_t> words, std::size_t i,
                  std::memory_order order = std::memory_order_relaxed) {
  return std::atomic_ref(words[i]).load(order);
}

std::size_t place(std::uint64_t index) { return kHeaderWords + (index % kCapacity) * kRecordWords; }

bool sensible(const Record& r) {
  const auto tokens = [](std::int64_t n) { return n >= 0 && n < kTokensMax; };
  const auto time = [](std::int64_t n) { return n >= -1 && n < kMicrosecondsMax; };
  return tokens(r.prompt_tokens) && tokens(r.output_tokens) && tokens(r.cached_tokens) &&
         time(r.queue_us) && time(r.prefill_us) && time(r.ttft_us) && time(r.decode_us) &&
         time(r.e2e_us) && time(r.gap_us_max) && time(r.gaps_us) && tokens(r.gaps) &&
         r.end >= Record::kStop && r.end <= Record::kRepetition;
}

}  // namespace

Result<Ring> Ring::open(const std::filesystem::path& path, From from) {
  auto file = os::MappedFile::open_or_create(path, kWords * sizeof(std::int64_t));
  if (!file) return tl::unexpected(file.error());
  Ring ring(std::move(*file));
  const std::span<std::int64_t> words = ring.words();
  const bool blank = std::ranges::all_of(words.first(kHeaderWords), [](auto w) { return w == 0; });
  const bool ours = load(words, kMagicWord) == static_cast<std::int64_t>(kMagic) &&
                    load(words, kLayoutWord) == kLayout &&
                    load(words, kCapacityWord) == static_cast<std::int64_t>(kCapacity);
  if (!blank && !ours) {
    return fail(ErrorCode::kConflict,
                fmt::format("{} is no ring of layout {}: stop what uses it and delete it",
                            path.string(), kLayout));
  }
  ring.next_ = from == From::kNext ? ring.written() : 0;
  ring.writer_start_ns_ = load(words, kStartWord);
  return ring;
}

bool Ring::has_writer() const { return load(words(), kStartWord) != 0; }

std::span<std::int64_t> Ring::words() const {
  void* bytes = file_.bytes().data();
  return {static_cast<std::int64_t*>(bytes), kWords};
}

std::uint64_t Ring::written() const {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, load(words(), kWrittenWord, std::memory_order_acquire)));
}

std::optional<Record> Ring::record(std::uint64_t index) const {
  const std::span<std::int64_t> words = this->words();
  const std::size_t at = place(index);
  const auto mark = static_cast<std::int64_t>(index + 1);
  std::array<std::int64_t, kRecordWords> w{};
  if (load(words, at, std::memory_order_acquire) != mark) return std::nullopt;
  for (std::size_t i = 0; i < kRecordWords; ++i) w[i] = load(words, at + i);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (load(words, at) != mark) return std::nullopt;
  const Record r{w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13]};
  return sensible(r) ? std::optional(r) : std::nullopt;
}

Ring::Batch Ring::read() {
  Batch batch;
  const std::int64_t start = load(words(), kStartWord);
  const std::uint64_t written = this->written();
  if (start != writer_start_ns_) {
    // The first writer we meet is no restart of anything. A later one goes on with its numbers.
    batch.restarted = writer_start_ns_ != 0;
    writer_start_ns_ = start;
  }
  // A count that falls is a broken header: go on from where it says.
  if (written < next_) next_ = written;
  if (written - next_ > kCapacity) {
    batch.lost = written - next_ - kCapacity;
    next_ = written - kCapacity;
  }
  batch.records.reserve(written - next_);
  for (; next_ < written; ++next_) {
    if (auto r = record(next_)) {
      batch.records.push_back(*r);
    } else if (next_ + 1 == written) {
      break;  // the last one may still be in the writing
    } else {
      ++batch.lost;
    }
  }
  return batch;
}

}  // namespace arqon::adapters::vllm
