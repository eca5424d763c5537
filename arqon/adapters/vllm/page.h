// The page between the tuner and the scheduler plugin of one vLLM: docs/formats/vllm-page.md,
// layout 1. The tuner writes the command, the confirmed block and the lease; the engine writes the
// reports. Words are little-endian int64, which this file assumes of the machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

#include "arqon/base/result.h"
#include "arqon/os/mapped_file.h"

namespace arqon::adapters::vllm {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kSlots = 16;  // values of a block
constexpr std::size_t kReports = 8;
constexpr std::size_t kApiReport = 7;  // data-parallel ranks come before it

// Index of a value in a block and in a report.
enum Slot : std::size_t {
  kBatchSize,
  kPrefillTokenBudget,
  kLongPrefillThreshold,
  kKvHeadroomBlocks,
  kReserveFullPrompt,
  kSpeculativeK,
  kMaxQueuedRequests,
  kMaxQueuedTokens,
  kSlotsUsed,
};

enum Reason : std::int64_t {
  kClamped = 1,
  kUnsupported = 2,
  kLapsed = 4,
  kRestored = 8,
  kPlainScheduler = 16,
  kPageWasGone = 32,
};

using Values = std::array<std::int64_t, kSlots>;

// What the tuner wants, or what returns without it. A value whose bit of `mask` is 0 has the
// engine's boot value. Epoch 0: never written.
struct Block {
  std::int64_t epoch = 0;
  std::uint64_t mask = 0;
  Values values{};

  bool has(std::size_t slot) const { return ((mask >> slot) & 1U) != 0; }
  void set(std::size_t slot, std::int64_t value) {
    mask |= std::uint64_t{1} << slot;
    values[slot] = value;
  }
  bool operator==(const Block&) const = default;
};

// What one rank (or the API process) says of itself; words 1-44 of its report. Times are
// CLOCK_BOOTTIME in ns. Checked for sense when read.
struct Report {
  std::int64_t epoch = 0;
  std::uint64_t supported = 0;  // mask
  Values effective{};
  std::int64_t reasons = 0;
  std::int64_t steps = 0, last_step_ns = 0;
  std::int64_t running = 0, waiting = 0, skipped_waiting = 0;
  std::int64_t blocks_free = 0, blocks = 0;
  std::int64_t preemptions = 0, tokens_last_step = 0;
  std::int64_t pid = 0, start_ns = 0;  // start_ns 0: nobody reports here
  std::int64_t version_hash = 0, identity_hash = 0;
  std::int64_t page_ns = 0, schedule_ns = 0;
  std::int64_t errors = 0, torn = 0;
  std::int64_t max_num_seqs = 0, max_num_batched_tokens = 0, max_model_len = 0;
  std::int64_t num_speculative_tokens = 0, block_size = 0;
  std::int64_t finished = 0, speculation_table = 0, running_max = 0;

  bool present() const { return start_ns != 0; }
  bool has(Reason reason) const { return (reasons & reason) != 0; }
};

// One tuner writes; any thread of that process may read. Nothing here blocks.
class Page {
 public:
  // Maps the page, and makes it when it is not there. kConflict when the file is something else
  // (another size, magic or layout); kUnavailable when it can be neither made nor mapped.
  static Result<Page> open(const std::filesystem::path& path);

  bool still_there() const { return file_.still_there(); }
  // Nothing when the words were being written, or their check is wrong, at every one of some tries.
  std::optional<Block> command() const;
  std::optional<Block> confirmed() const;
  // Nothing when torn or senseless; a report that nobody writes is one that is not present().
  std::optional<Report> report(std::size_t index) const;

  void write_command(const Block& block);
  void write_confirmed(const Block& block);
  // Until when somebody answers for unproven values, CLOCK_BOOTTIME ns; 0 = nobody does.
  std::int64_t lease() const;
  void set_lease(std::int64_t deadline_ns);
  void set_tuner_pid(std::int64_t pid);

 private:
  explicit Page(os::MappedFile file) : file_(std::move(file)) {}
  std::span<std::int64_t> words() const;
  std::optional<Block> read_block(std::size_t word) const;
  void write_block(std::size_t word, const Block& block);

  mutable os::MappedFile file_;
};

// FNV-1a, 64 bits, as the page's hashes are made.
std::int64_t fnv1a(std::string_view bytes);

}  // namespace arqon::adapters::vllm
