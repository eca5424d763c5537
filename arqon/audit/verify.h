// Walks a chain from its first line and stops at the first that does not follow from the one
// before.
// What each finding means: docs/formats/audit.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/audit/checkpoint.h"
#include "arqon/audit/digest.h"
#include "arqon/base/result.h"
#include "arqon/os/disk.h"

namespace arqon::audit {

inline constexpr std::size_t kSegmentBytesMax = 16u << 20;
inline constexpr std::size_t kTapeBytesMax = 32u << 20;

enum class Fault : std::uint8_t {
  kChanged, kMissing, kInserted, kTorn, kCut, kRewritten, kTape, kCheckpoint
};
std::string_view to_string(Fault fault);

struct Finding {
  Fault fault = Fault::kChanged;
  std::uint64_t seq = 0;     // first record that is not as it was
  std::string file;          // empty where no file has it
  std::uint64_t offset = 0;  // of its line there
  std::string what;          // in words
};

// "00000003.log:81204: record 812 changed: ..."
std::string to_text(const Finding& finding);

// Lines of one segment after the other. One thread.
class Walk {
 public:
  // Called for each good line; `json` lives as long as the bytes it came from.
  using OnLine =
      std::function<void(std::uint64_t seq, std::string_view json, std::string_view hash)>;

  // The next segment. `last`: no other follows, so its end may be torn. After a finding no more is
  // taken. good_bytes() is then where the good lines of this segment end.
  std::optional<Finding> segment(const std::string& file, std::string_view bytes, bool last,
                                 const OnLine& on_line = {});
  std::uint64_t records() const { return next_seq_ - 1; }
  const Hash& head() const { return head_; }
  const Hash& chain() const { return chain_; }
  std::uint64_t good_bytes() const { return good_bytes_; }
  // A good line of a later group follows the bad one: what is bad had been acknowledged.
  bool acknowledged() const { return acknowledged_; }

 private:
  bool begin_chain(std::string_view bytes);
  Finding judge(const std::string& file, std::string_view bytes, std::size_t at, bool last);
  bool later_group(std::string_view bytes, std::size_t at);

  Sha256 sha_;
  Hash chain_{}, head_{};
  std::uint64_t next_seq_ = 1;
  std::uint64_t good_bytes_ = 0;
  bool acknowledged_ = false;
};

struct VerifyOptions {
  bool tapes = true;
  std::vector<Checkpoint> against;  // from elsewhere, beside the folder's own
  std::function<void(double fraction)> on_progress;
  Walk::OnLine on_line;
};

struct Verified {
  std::uint64_t records = 0, segments = 0, checkpoints = 0, bytes = 0, tape_bytes = 0;
  Hash chain{}, head{};
  std::vector<std::string> keys;          // that signed checkpoints, as they appear
  std::uint64_t records_witnessed = 0;    // up to here a checkpoint stands behind the chain
  std::uint64_t records_known = 0;        // the most that any checkpoint knows
  std::optional<Finding> finding;
  // The finding is at the very end, and no later group and no checkpoint says that it had been
  // acknowledged: what a crash leaves behind.
  bool torn = false;
};

// The chain of a folder. An error when it cannot be read; what is wrong with it is the finding.
// Holds one segment and its tape in memory: below 64 MiB.
Result<Verified> verify(os::Disk& disk, const std::filesystem::path& folder,
                        const VerifyOptions& options);

// "00000003.log" for 3; and back, 0 for other names.
std::string segment_name(std::uint64_t number);
std::string tape_name(std::uint64_t number);
std::uint64_t segment_number(std::string_view name);
// Of the segments of a folder, in order.
std::vector<std::uint64_t> segments_of(os::Disk& disk, const std::filesystem::path& folder);

}  // namespace arqon::audit
