#include "arqon/audit/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "arqon/audit/record.h"

namespace arqon::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNameDigits = 8;
constexpr std::size_t kCheckpointBytesMax = 16u << 20;
constexpr std::string_view kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kInputsKey = ",\"inputs\":\"", kTapeKey = "\",\"tape\":";

// The whole line that begins at `at`: JSON, TAB, hash; empty when it has no such shape.
struct Line {
  std::string_view json, hash;
  std::size_t end = 0;  // behind its line feed
};
std::optional<Line> line_at(std::string_view bytes, std::size_t at) {
  const void* found = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
  if (found == nullptr) return std::nullopt;
  const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
  if (end - at < kTailBytes || end - at > kLineBytesMax + kTailBytes) return std::nullopt;
  const std::size_t tab = end - kHexBytes - 1;
  if (bytes[tab] != '\t') return std::nullopt;
  return Line{bytes.substr(at, tab - at), bytes.substr(tab + 1, kHexBytes), end + 1};
}

// What of the tape a line says it was made from.
bool read_inputs(std::string_view json, std::string_view& inputs, std::uint64_t& tape) {
  const std::size_t at = json.find(kInputsKey);
  if (at == std::string_view::npos) return false;
  inputs = json.substr(at + kInputsKey.size(), kHexBytes);
  const std::size_t number = at + kInputsKey.size() + kHexBytes;
  if (json.substr(number, kTapeKey.size()) != kTapeKey) return false;
  const char* begin = json.data() + number + kTapeKey.size();
  return std::from_chars(begin, json.data() + json.size(), tape).ec == std::errc();
}

// Compares a segment's records with its tape, which is read when the first of them needs it.
class TapeCheck {
 public:
  TapeCheck(os::Disk& disk, fs::path file) : disk_(disk), file_(std::move(file)) {}

  bool good(std::string_view json) {
    std::string_view inputs;
    std::uint64_t end = 0;
    if (!read_inputs(json, inputs, end) || end < at_) return false;
    if (end == at_) return inputs == kHashOfNothing;  // most records follow one another at once
    if (!load()) return false;
    if (end > bytes_.size()) return false;
    const std::string_view fresh =
        std::string_view(bytes_).substr(at_, end - at_);
    at_ = end;
    return view(sha_.of(fresh)) == inputs;
  }
  std::uint64_t bytes() const { return at_; }

 private:
  bool load() {
    if (loaded_) return true;
    auto bytes = disk_.read(file_, kTapeBytesMax);
    if (!bytes) return false;
    bytes_ = std::move(*bytes);
    loaded_ = true;
    return true;
  }

  os::Disk& disk_;
  fs::path file_;
  Sha256 sha_;
  std::string bytes_;
  std::size_t at_ = 0;
  bool loaded_ = false;
};

}  // namespace

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::kChanged: return "changed";
    case Fault::kMissing: return "missing";
    case Fault::kInserted: return "inserted";
    case Fault::kTorn: return "torn";
    case Fault::kCut: return "cut";
    case Fault::kRewritten: return "rewritten";
    case Fault::kTape: return "tape";
    case Fault::kCheckpoint: return "checkpoint";
  }
  return "changed";
}

std::string to_text(const Finding& f) {
  const std::string place = f.file.empty() ? "" : fmt::format("{}:{}: ", f.file, f.offset);
  return fmt::format("{}record {}: {}: {}", place, f.seq, to_string(f.fault), f.what);
}

std::string segment_name(std::uint64_t number) { return fmt::format("{:08}.log", number); }
std::string tape_name(std::uint64_t number) { return fmt::format("{:08}.tape", number); }

std::uint64_t segment_number(std::string_view name) {
  std::uint64_t number = 0;
  if (name.size() != kNameDigits + 4 || name.substr(kNameDigits) != ".log") return 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + kNameDigits, number);
  return error == std::errc() && end == name.data() + kNameDigits ? number : 0;
}

std::vector<std::uint64_t> segments_of(os::Disk& disk, const fs::path& folder) {
  std::vector<std::uint64_t> out;
  for (const std::string& name : disk.list(folder)) {
    if (const std::uint64_t number = segment_number(name)) out.push_back(number);
  }
  return out;
}

// The first line of all says the chain's id, which is what it is hashed with.
bool Walk::begin_chain(std::string_view bytes) {
  const auto line = line_at(bytes, 0);
  const auto record = line ? decode(line->json) : fail(ErrorCode::kInvalidConfig, "");
  const wire::Value* id = record ? record->record.note.find("chain") : nullptr;
  const std::string* text = id == nullptr ? nullptr : id->as_string();
  const auto hash = text == nullptr ? fail(ErrorCode::kInvalidConfig, "") : read_hash(*text);
  if (!hash) return false;
  chain_ = head_ = *hash;
  return true;
}

std::optional<Finding> Walk::segment(const std::string& file, std::string_view bytes, bool last,
                                     const OnLine& on_line) {
  good_bytes_ = 0;
  if (bytes.empty()) {
    if (last) return std::nullopt;  // its first line never came
    return Finding{Fault::kMissing, next_seq_, file, 0, "the segment is empty, not the last"};
  }
  if (next_seq_ == 1 && !begin_chain(bytes)) return judge(file, bytes, 0, last);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto line = line_at(bytes, at);
    Place place;
    if (!line || !read_place(line->json, place) || place.seq != next_seq_) {
      return judge(file, bytes, at, last);
    }
    if (at == 0) {
      sha_.update(view(head_));
      sha_.update("\n");
      sha_.update(bytes.substr(0, line->json.size() + 1));
    } else {
      // The hash before it, the line feed, the object and the tab lie side by side in the file.
      sha_.update(bytes.substr(at - kHexBytes - 1, kHexBytes + 1 + line->json.size() + 1));
    }
    const Hash hash = sha_.finish();
    if (view(hash) != line->hash) return judge(file, bytes, at, last);
    head_ = hash;
    ++next_seq_;
    at = line->end;
    good_bytes_ = at;
    if (on_line) on_line(place.seq, line->json, line->hash);
  }
  return std::nullopt;
}

// A good line behind `at` whose group began after the record that is bad: groups are written one
// after the other, so the bad one was on the disk when that one came.
bool Walk::later_group(std::string_view bytes, std::size_t at) {
  while (at < bytes.size()) {
    const void* found = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
    if (found == nullptr) return false;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data()) + 1;
    if (at == bytes.size() || at < kHexBytes + 1) continue;
    const auto line = line_at(bytes, at);
    Place place;
    if (!line || !read_place(line->json, place) || place.group <= next_seq_) continue;
    const Hash hash =
        sha_.of(bytes.substr(at - kHexBytes - 1, kHexBytes + 1 + line->json.size() + 1));
    if (view(hash) == line->hash) return true;
  }
  return false;
}

Finding Walk::judge(const std::string& file, std::string_view bytes, std::size_t at, bool last) {
  acknowledged_ = !last || later_group(bytes, at);
  Finding finding{Fault::kChanged, next_seq_, file, at, "it is not what was written"};
  const auto line = line_at(bytes, at);
  Place place;
  const bool placed = line && read_place(line->json, place);
  if (!line && !acknowledged_) {
    finding.fault = Fault::kTorn;
    finding.what =
        fmt::format("{} bytes that are no whole record end the chain", bytes.size() - at);
  } else if (placed && place.seq > next_seq_) {
    finding.fault = Fault::kMissing;
    finding.what = fmt::format("record {} stands where it should", place.seq);
  } else if (placed && place.seq < next_seq_) {
    finding.fault = Fault::kInserted;
    finding.what = fmt::format("a record {} stands where it should", place.seq);
  }
  return finding;
}

namespace {

// All segments, one after the other.
class Verification {
 public:
  Verification(os::Disk& disk, const fs::path& folder, const VerifyOptions& options)
      : disk_(disk), folder_(folder), options_(options) {}

  Result<Verified> run() {
    const std::vector<std::uint64_t> numbers = segments_of(disk_, folder_);
    if (numbers.empty()) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{}: there is no audit here", folder_.string()));
    }
    if (Status read = read_own_checkpoints(); !read) return tl::unexpected(read.error());
    for (const Checkpoint& c : options_.against) expect(c);
    std::sort(expected_.begin(), expected_.end(),
              [](const Checkpoint& a, const Checkpoint& b) { return a.records < b.records; });
    for (std::size_t i = 0; i < numbers.size() && !out_.finding; ++i) {
      if (options_.on_progress) {
        options_.on_progress(static_cast<double>(i) / static_cast<double>(numbers.size()));
      }
      Status done = segment(numbers[i], i, i + 1 == numbers.size());
      if (!done) return tl::unexpected(done.error());
    }
    out_.records = walk_.records();
    out_.segments = numbers.size();
    out_.chain = walk_.chain();
    out_.head = walk_.head();
    if (!out_.finding) judge_rest();
    return std::move(out_);
  }

 private:
  void expect(const Checkpoint& c) {
    ++out_.checkpoints;
    out_.records_known = std::max(out_.records_known, c.records);
    if (std::find(out_.keys.begin(), out_.keys.end(), c.key) == out_.keys.end()) {
      out_.keys.push_back(c.key);
    }
    expected_.push_back(c);
  }

  Status read_own_checkpoints() {
    const fs::path file = folder_ / "checkpoints";
    if (!disk_.exists(file)) return {};
    const auto text = disk_.read(file, kCheckpointBytesMax);
    if (!text) return tl::unexpected(text.error());
    auto own = read_checkpoints(*text);
    if (!own) {
      out_.finding = Finding{Fault::kCheckpoint, 0, "checkpoints", 0, own.error().message};
      return {};
    }
    for (const Checkpoint& c : *own) expect(c);
    return {};
  }

  Status segment(std::uint64_t number, std::size_t index, bool last) {
    const std::string name = segment_name(number);
    if (number != index + 1) {
      out_.finding = Finding{Fault::kMissing, walk_.records() + 1, segment_name(index + 1), 0,
                             fmt::format("the segment is not there, {} is", name)};
      return {};
    }
    const auto bytes = disk_.read(folder_ / name, kSegmentBytesMax + 2 * kLineBytesMax);
    if (!bytes) return tl::unexpected(bytes.error());
    TapeCheck tape(disk_, folder_ / tape_name(number));
    std::optional<Finding> wrong;
    auto finding = walk_.segment(
        name, *bytes, last,
        [&](std::uint64_t seq, std::string_view json, std::string_view hash) {
          if (wrong) return;
          if (options_.tapes && !tape.good(json)) {
            wrong = Finding{Fault::kTape, seq, tape_name(number), tape.bytes(),
                            "what it was made from is not what stands there"};
          }
          check(seq, hash, name, wrong);
          if (!wrong && options_.on_line) options_.on_line(seq, json, hash);
        });
    out_.torn = finding && last && !walk_.acknowledged() &&
                walk_.records() >= out_.records_known;
    out_.bytes += bytes->size();
    out_.tape_bytes += tape.bytes();
    out_.finding = wrong ? wrong : finding;
    return {};
  }

  // Do the checkpoints that end with this record know its hash?
  void check(std::uint64_t seq, std::string_view hash, const std::string& file,
             std::optional<Finding>& wrong) {
    for (; next_ < expected_.size() && expected_[next_].records <= seq; ++next_) {
      const Checkpoint& c = expected_[next_];
      if (c.records < seq) continue;  // of none
      if (view(c.head) != hash || c.chain != walk_.chain()) {
        wrong = Finding{Fault::kRewritten, seq, file, 0, "a checkpoint knows another hash for it"};
        return;
      }
      out_.records_witnessed = seq;
    }
  }

  void judge_rest() {
    if (next_ == expected_.size()) return;
    const std::uint64_t known = expected_.back().records;
    out_.finding = Finding{
        Fault::kCut, walk_.records() + 1, "", 0,
        fmt::format("the chain ends with record {}, but a checkpoint knows {}", walk_.records(),
                    known)};
  }

  os::Disk& disk_;
  const fs::path& folder_;
  const VerifyOptions& options_;
  Walk walk_;
  Verified out_;
  std::vector<Checkpoint> expected_;
  std::size_t next_ = 0;
};

}  // namespace

Result<Verified> verify(os::Disk& disk, const fs::path& folder, const VerifyOptions& options) {
  return Verification(disk, folder, options).run();
}

}  // namespace arqon::audit
