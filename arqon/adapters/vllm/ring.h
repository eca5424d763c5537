// The ring of finished requests that the plugin's part in the API process writes: exact times, one
// record per request. docs/formats/vllm-page.md, "Ring".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/os/mapped_file.h"

namespace arqon::adapters::vllm {

// One finished request; times in microseconds from its arrival at the API server.
struct Record {
  enum End : std::int64_t { kStop, kLength, kAbort, kError, kRepetition };
  std::int64_t at_ns = 0;  // end, CLOCK_BOOTTIME
  std::int64_t prompt_tokens = 0, output_tokens = 0, cached_tokens = 0;
  std::int64_t queue_us = 0, prefill_us = 0, ttft_us = 0, decode_us = 0, e2e_us = 0;
  std::int64_t gap_us_max = -1;  // -1 = unknown
  std::int64_t end = kStop;
  std::int64_t gaps_us = 0, gaps = 0;  // sum and number
};

// Reads what has come since the last read. One thread; never blocks.
class Ring {
 public:
  struct Batch {
    std::vector<Record> records;
    std::uint64_t lost = 0;  // written, but overwritten or broken before we came
    bool restarted = false;  // another writer began anew since the last read
  };

  enum class From { kNext, kStart };
  // Maps the ring, and makes it when it is not there. Begins with the next record, or with the
  // first one of a ring made anew. kConflict when the file is something else.
  static Result<Ring> open(const std::filesystem::path& path, From from = From::kNext);

  bool still_there() const { return file_.still_there(); }
  Batch read();
  // Somebody has written here, or will.
  bool has_writer() const;

 private:
  std::uint64_t written() const;
  explicit Ring(os::MappedFile file) : file_(std::move(file)) {}
  std::span<std::int64_t> words() const;
  // The record `index`; nothing when it is not whole or makes no sense.
  std::optional<Record> record(std::uint64_t index) const;

  mutable os::MappedFile file_;
  std::uint64_t next_ = 0;
  std::int64_t writer_start_ns_ = 0;
};

}  // namespace arqon::adapters::vllm
