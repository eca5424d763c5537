#include "arqon/adapters/vllm/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>

namespace arqon::adapters::vllm {
namespace {

static_assert(std::endian::native == std::endian::little, "the page's words are little-endian");

constexpr std::uint64_t kMagic = 0x314d4c4c56515241;  // "ARQVLLM1"
constexpr std::int64_t kLayout = 1;
constexpr std::size_t kWords = kPageBytes / sizeof(std::int64_t);

// Words of the header.
constexpr std::size_t kMagicWord = 0, kLayoutWord = 1, kSizeWord = 2, kPidWord = 3, kLeaseWord = 4;
constexpr std::size_t kCommand = 32, kConfirmed = 64, kFirstReport = 128, kReportWords = 48;
// Words of a block.
constexpr std::size_t kEpoch = 1, kMask = 2, kValues = 3, kCheck = kValues + kSlots;

// A writer holds a block for well under a microsecond: so many tries outlast it, unless it died in
// the middle.
constexpr int kTries = 200;
// No engine has more of anything than this; larger is garbage.
constexpr std::int64_t kCountMax = std::int64_t{1} << 40;

using Words = std::array<std::int64_t, kReportWords>;

std::int64_t load(std::span<std::int64_t> words, std::size_t i) {
  return std::atomic_ref(words[i]).load(std::memory_order_relaxed);
}
void store(std::span<std::int64_t> words, std::size_t i, std::int64_t value) {
  std::atomic_ref(words[i]).store(value, std::memory_order_relaxed);
}

// Copies `count` words from `first`, whose first one is the sequence lock.
std::optional<Words> read_locked(std::span<std::int64_t> words, std::size_t first,
                                 std::size_t count) {
  Words out{};
  for (int i = 0; i < kTries; ++i) {
    const std::int64_t before = std::atomic_ref(words[first]).load(std::memory_order_acquire);
    for (std::size_t w = 0; w < count; ++w) out[w] = load(words, first + w);
    std::atomic_thread_fence(std::memory_order_acquire);
    const bool stable = (before & 1) == 0 && load(words, first) == before;
    if (stable) return out;
  }
  return std::nullopt;
}

std::int64_t check_of(const Block& block) {
  std::uint64_t sum = static_cast<std::uint64_t>(block.epoch) + block.mask;
  for (const std::int64_t value : block.values) sum += static_cast<std::uint64_t>(value);
  return static_cast<std::int64_t>(sum ^ kMagic);
}

Report report_from(const Words& w) {
  Report r;
  r.epoch = w[1];
  r.supported = static_cast<std::uint64_t>(w[2]);
  std::copy_n(w.begin() + 3, kSlots, r.effective.begin());
  r.reasons = w[19], r.steps = w[20], r.last_step_ns = w[21];
  r.running = w[22], r.waiting = w[23], r.skipped_waiting = w[24];
  r.blocks_free = w[25], r.blocks = w[26];
  r.preemptions = w[27], r.tokens_last_step = w[28];
  r.pid = w[29], r.start_ns = w[30];
  r.version_hash = w[31], r.identity_hash = w[32];
  r.page_ns = w[33], r.schedule_ns = w[34];
  r.errors = w[35], r.torn = w[36];
  r.max_num_seqs = w[37], r.max_num_batched_tokens = w[38], r.max_model_len = w[39];
  r.num_speculative_tokens = w[40], r.block_size = w[41];
  r.finished = w[42], r.speculation_table = w[43], r.running_max = w[44];
  return r;
}

bool sensible(const Report& r) {
  const auto count = [](std::int64_t n) { return n >= 0 && n < kCountMax; };
  const std::array counts = {r.steps,
                             r.running,
                             r.waiting,
                             r.skipped_waiting,
                             r.blocks_free,
                             r.blocks,
                             r.preemptions,
                             r.tokens_last_step,
                             r.errors,
                             r.torn,
                             r.max_num_seqs,
                             r.max_model_len,
                             r.max_num_batched_tokens,
                             r.num_speculative_tokens,
                             r.block_size,
                             r.finished,
                             r.running_max,
                             r.pid};
  return std::ranges::all_of(counts, count) && std::ranges::all_of(r.effective, count) &&
         r.blocks_free <= r.blocks && r.start_ns >= 0 && r.last_step_ns >= 0 && r.epoch >= 0 &&
         (r.speculation_table == 0 || r.speculation_table == 1);
}

}  // namespace

Result<Page> Page::open(const std::filesystem::path& path) {
  auto file = os::MappedFile::open_or_create(path, kPageBytes);
  if (!file) return tl::unexpected(file.error());
  Page page(std::move(*file));
  const std::span<std::int64_t> words = page.words();
  if (std::ranges::all_of(words.first(kPidWord), [](std::int64_t w) { return w == 0; })) {
    store(words, kLayoutWord, kLayout);
    store(words, kSizeWord, kPageBytes);
    std::atomic_ref(words[kMagicWord])
        .store(static_cast<std::int64_t>(kMagic), std::memory_order_release);
  }
  if (load(words, kMagicWord) != static_cast<std::int64_t>(kMagic) ||
      load(words, kLayoutWord) != kLayout || load(words, kSizeWord) != kPageBytes) {
    return fail(ErrorCode::kConflict,
                fmt::format("{} is no page of layout {} (magic {:#x}, layout {}, size {}): stop "
                            "what uses it, delete it, and bring plugin and tuner to one version",
                            path.string(), kLayout, load(words, kMagicWord),
                            load(words, kLayoutWord), load(words, kSizeWord)));
  }
  return page;
}

std::span<std::int64_t> Page::words() const {
  // The mapping is page-aligned and holds whole words.
  void* bytes = file_.bytes().data();
  return {static_cast<std::int64_t*>(bytes), kWords};
}

std::optional<Block> Page::read_block(std::size_t word) const {
  const auto copy = read_locked(words(), word, kCheck + 1);
  if (!copy) return std::nullopt;
  Block block;
  block.epoch = (*copy)[kEpoch];
  block.mask = static_cast<std::uint64_t>((*copy)[kMask]);
  std::copy_n(copy->begin() + kValues, kSlots, block.values.begin());
  const bool never_written = (*copy)[0] == 0 && block == Block{};
  if (!never_written && (*copy)[kCheck] != check_of(block)) return std::nullopt;
  return block;
}

void Page::write_block(std::size_t word, const Block& block) {
  const std::span<std::int64_t> w = words();
  // A writer that died in the middle left an odd number: go on from it.
  const auto odd = static_cast<std::uint64_t>(load(w, word)) | 1U;
  store(w, word, static_cast<std::int64_t>(odd));
  std::atomic_thread_fence(std::memory_order_release);
  store(w, word + kEpoch, block.epoch);
  store(w, word + kMask, static_cast<std::int64_t>(block.mask));
  for (std::size_t i = 0; i < kSlots; ++i) store(w, word + kValues + i, block.values[i]);
  store(w, word + kCheck, check_of(block));
  std::atomic_ref(w[word]).store(static_cast<std::int64_t>(odd + 1), std::memory_order_release);
}

std::optional<Block> Page::command() const { return read_block(kCommand); }
std::optional<Block> Page::confirmed() const { return read_block(kConfirmed); }
void Page::write_command(const Block& block) { write_block(kCommand, block); }
void Page::write_confirmed(const Block& block) { write_block(kConfirmed, block); }

std::optional<Report> Page::report(std::size_t index) const {
  const auto copy = read_locked(words(), kFirstReport + index * kReportWords, kReportWords);
  if (!copy) return std::nullopt;
  const Report report = report_from(*copy);
  return sensible(report) ? std::optional(report) : std::nullopt;
}

std::int64_t Page::lease() const { return load(words(), kLeaseWord); }
void Page::set_lease(std::int64_t deadline_ns) {
  std::atomic_ref(words()[kLeaseWord]).store(deadline_ns, std::memory_order_release);
}
void Page::set_tuner_pid(std::int64_t pid) { store(words(), kPidWord, pid); }

std::int64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return static_cast<std::int64_t>(hash);
}

}  // namespace arqon::adapters::vllm
