#include "arqon/audit/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEntropyBytes = 64;
// What may wait for a slow disk; beyond it records are refused and observations dropped.
constexpr std::size_t kPendingBytesMax = 8u << 20;
constexpr std::uint64_t kCheckpointRecords = 4096;
constexpr std::int64_t kCheckpointNs = 10'000'000'000;
constexpr std::size_t kKeyBytesMax = 1024;
constexpr std::size_t kShortened = 4096;
constexpr std::size_t kTapeLineBytesMax = 1u << 20;
constexpr std::size_t kTapeFull = kTapeBytesMax - 4 * kTapeLineBytesMax;

tl::unexpected<Error> damaged(const Finding& finding) {
  return fail(ErrorCode::kConflict,
              fmt::format("the audit is not what was written: {}; look at it with `arqonhpo audit "
                          "verify`, and move the folder away to begin a new one",
                          to_text(finding)));
}

// What is left of a record that no line holds.
Record shortened(const Record& record, std::size_t bytes) {
  Record out = record;
  out.reason.resize(std::min(out.reason.size(), kShortened));
  out.before.resize(std::min(out.before.size(), kShortened / 8));
  out.after.resize(std::min(out.after.size(), kShortened / 8));
  out.note = wire::Object{{"cut_bytes", bytes}};
  return out;
}

// The key of the folder, made when there is none.
Result<SigningKey> key_of(os::Disk& disk, const LogOptions& options) {
  const fs::path file = options.folder / "key";
  if (disk.exists(file)) {
    const auto text = disk.read(file, kKeyBytesMax);
    if (!text) return tl::unexpected(text.error());
    auto key = SigningKey::from_hex(std::string_view(*text).substr(0, kHexBytes));
    // What is no key was never used: the file is written before the chain.
    if (key) return key;
  }
  auto key = SigningKey::from_seed(std::string_view(options.entropy).substr(0, kEntropyBytes / 2));
  if (!key) return key;
  Status done = os::replace_file(disk, file, key->to_hex() + "\n");
  if (done) done = os::replace_file(disk, options.folder / "key.pub", key->public_hex() + "\n");
  if (!done) return tl::unexpected(done.error());
  return key;
}

}  // namespace

Log::Log(os::Disk& disk, LogOptions options, SigningKey key)
    : disk_(disk), options_(std::move(options)), key_(std::move(key)) {}

Result<std::unique_ptr<Log>> Log::open(os::Disk& disk, LogOptions options) {
  ARQON_ASSERT(options.entropy.size() >= kEntropyBytes);
  if (Status made = disk.make_folder(options.folder); !made) return tl::unexpected(made.error());
  auto key = key_of(disk, options);
  if (!key) return tl::unexpected(key.error());
  auto log = std::unique_ptr<Log>(new Log(disk, std::move(options), std::move(*key)));
  if (Status begun = log->begin(); !begun) return tl::unexpected(begun.error());
  return log;
}

Status Log::begin() {
  const std::vector<std::uint64_t> segments = segments_of(disk_, options_.folder);
  const auto half = std::string_view(options_.entropy).substr(kEntropyBytes / 2, kEntropyBytes / 2);
  chain_ = head_ = sha_.of(half);
  if (!segments.empty()) {
    if (Status adopted = adopt(segments.back()); !adopted) return adopted;
  }
  Record first{.mono_ns = options_.mono_ns, .wall_ns = options_.wall_ns};
  first.actor = "tuner";
  begin_segment(first);
  if (found_.cut_bytes > 0) {
    first.action = "cut";
    first.reason = "a crash had torn the end of the chain";
    first.note = wire::Object{{"bytes", found_.cut_bytes}, {"file", found_.cut_file}};
    chain_record(first);
  }
  if (Status written = commit(); !written) return written;
  if (options_.threaded) thread_ = std::jthread([this](const std::stop_token& t) { run(t); });
  return {};
}

// Goes on where the chain before ends.
Status Log::adopt(std::uint64_t segments) {
  VerifyOptions options;
  options.tapes = false;
  const auto verified = verify(disk_, options_.folder, options);
  if (!verified) return tl::unexpected(verified.error());
  if (verified->records > 0) {
    chain_ = verified->chain;
    head_ = verified->head;
  }
  next_seq_ = verified->records + 1;
  durable_ = verified->records;
  found_.records = verified->records;
  segment_ = segments;
  const auto& finding = verified->finding;
  // Is it the end that a crash has torn, or something that had been acknowledged?
  if (finding && !verified->torn) return damaged(*finding);
  return settle_end(segments, finding ? finding->offset : ~std::uint64_t{0});
}

// What the run before wrote last may be in memory alone: a sync that failed there is not made good
// by one that works here. So its last files are written again, but for what was torn.
Status Log::settle_end(std::uint64_t segment, std::uint64_t good) {
  const fs::path file = options_.folder / segment_name(segment);
  auto bytes = disk_.read(file, 2 * kSegmentBytesMax);
  if (!bytes) return tl::unexpected(bytes.error());
  if (good < bytes->size()) {
    // Nothing is thrown away: the torn bytes get a file of their own first.
    found_.cut_bytes = bytes->size() - good;
    found_.cut_file = fmt::format("cut-{}", found_.records);
    const std::string_view tail = std::string_view(*bytes).substr(good);
    Status kept = os::replace_file(disk_, options_.folder / found_.cut_file, tail);
    if (!kept) return kept;
    bytes->resize(good);
  }
  if (Status done = os::replace_file(disk_, file, *bytes); !done) return done;
  const fs::path tape = options_.folder / tape_name(segment);
  const bool begun = !bytes->empty();
  if (!begun) --segment_;  // a segment without a line is begun again; so is its tape
  if (!disk_.exists(tape)) return {};
  auto told = begun ? disk_.read(tape, kTapeBytesMax) : Result<std::string>("");
  if (!told) return tl::unexpected(told.error());
  return os::replace_file(disk_, tape, *told);
}

Log::~Log() {
  thread_ = {};  // stopped and joined
  if (!failed_) (void)commit();
}

// -- the side that appends; mutex_ is held but in the public calls

Log::Chunk& Log::chunk() {
  if (pending_.chunks.empty() || pending_.chunks.back().segment != segment_) {
    pending_.chunks.push_back({segment_, {}, {}});
  }
  return pending_.chunks.back();
}

void Log::begin_segment(const Record& like) {
  ++segment_;
  segment_bytes_ = 0;
  tape_bytes_ = 0;
  Record record{.mono_ns = like.mono_ns, .wall_ns = like.wall_ns};
  record.actor = "tuner";
  record.action = "segment";
  record.note = wire::Object{
      {"schema", 1}, {"chain", view(chain_)}, {"segment", segment_}, {"prev", view(head_)}};
  (void)tape_sha_.finish();
  chain_record(record);
}

void Log::chain_record(const Record& record) {
  const std::uint64_t seq = next_seq_++;
  if (pending_.first == 0) pending_.first = seq;
  const Stamp stamp{seq, pending_.first, tape_sha_.finish(), tape_bytes_};
  std::string json = encode(record, stamp);
  if (json.size() > kLineBytesMax) json = encode(shortened(record, json.size()), stamp);
  sha_.update(view(head_));
  sha_.update("\n");
  sha_.update(json);
  sha_.update("\t");
  head_ = sha_.finish();
  std::string& lines = chunk().lines;
  lines.append(json).append(1, '\t').append(view(head_)).append(1, '\n');
  pending_bytes_ += json.size() + kTailBytes;
  segment_bytes_ += json.size() + kTailBytes;
  pending_.last = seq;
  pending_.head = head_;
  pending_.mono_ns = record.mono_ns;
  pending_.wall_ns = record.wall_ns;
}

Result<std::uint64_t> Log::append(const Record& record) {
  const std::lock_guard lock(mutex_);
  if (failed_) return tl::unexpected(*failed_);
  if (pending_bytes_ > kPendingBytesMax) {
    return fail(ErrorCode::kUnavailable, "the audit's disk is too far behind");
  }
  if (segment_bytes_ > options_.segment_bytes || tape_bytes_ > kTapeFull) {
    begin_segment(record);
  }
  chain_record(record);
  return next_seq_ - 1;
}

void Log::observe(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (failed_) return;
  if (dropped_ > 0 || pending_bytes_ > kPendingBytesMax || line.size() > kTapeLineBytesMax ||
      tape_bytes_ + line.size() >= kTapeBytesMax) {
    ++dropped_;
    return;
  }
  std::string& tape = chunk().tape;
  tape.append(line).append(1, '\n');
  tape_sha_.update(line);
  tape_sha_.update("\n");
  tape_bytes_ += line.size() + 1;
  pending_bytes_ += line.size() + 1;
}

Status Log::wait(std::uint64_t seq, Duration patience) {
  if (!options_.threaded) {
    bool written = false;
    {
      const std::lock_guard lock(mutex_);
      if (failed_) return tl::unexpected(*failed_);
      written = durable_ >= seq;
    }
    return written ? Status() : commit();
  }
  std::unique_lock lock(mutex_);
  wanted_ = true;
  work_.notify_one();
  const auto over = [&] { return durable_ >= seq || failed_; };
  if (!stalled_ && !settled_.wait_for(lock, patience, over)) stalled_ = true;
  if (failed_) return tl::unexpected(*failed_);
  if (durable_ >= seq) return {};
  return fail(ErrorCode::kUnavailable, "the audit's disk does not keep up");
}

Status Log::write(const Record& record) {
  const auto seq = append(record);
  if (!seq) return tl::unexpected(seq.error());
  return wait(*seq);
}

void Log::flush() {
  if (!options_.threaded) {
    (void)commit();
    return;
  }
  const std::lock_guard lock(mutex_);
  wanted_ = true;
  work_.notify_one();
}

bool Log::healthy() const {
  const std::lock_guard lock(mutex_);
  return !failed_ && !stalled_;
}
std::uint64_t Log::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}
std::uint64_t Log::records() const {
  const std::lock_guard lock(mutex_);
  return next_seq_ - 1;
}
std::uint64_t Log::tape_dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}
std::uint64_t Log::witness_failures() const {
  const std::lock_guard lock(mutex_);
  return witness_failures_;
}
std::string Log::tape_file() const {
  const std::lock_guard lock(mutex_);
  return tape_name(segment_);
}

Status Log::close() {
  thread_ = {};
  Status done = commit();
  if (done && last_.last > checkpointed_) checkpoint(last_, /*now=*/true);
  options_.threaded = false;
  return done;
}

// -- the side that writes

void Log::run(const std::stop_token& token) {
  while (!token.stop_requested()) {
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, token, [&] { return wanted_; });
      wanted_ = false;
    }
    if (!commit()) return;
  }
}

Status Log::commit() {
  Group group;
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return tl::unexpected(*failed_);
    group = std::exchange(pending_, {});
    pending_bytes_ = 0;
  }
  const Status done = put(group);
  {
    const std::lock_guard lock(mutex_);
    if (!done) {
      failed_ = done.error().with_context("the audit cannot be written");
    } else if (group.last > 0) {
      durable_ = group.last;
      stalled_ = false;
    }
  }
  settled_.notify_all();
  if (done && group.last > 0) {
    checkpoint(group, /*now=*/false);
    last_ = std::move(group);
    last_.chunks.clear();
  }
  return done;
}

Status Log::put(const Group& group) {
  for (const Chunk& part : group.chunks) {
    if (Status done = put(part, !part.lines.empty()); !done) return done;
  }
  return {};
}

// What a record was made from is on the disk before the record.
Status Log::put(const Chunk& part, bool sync) {
  if (part.segment != open_segment_) {
    if (Status opened = open_segment(part.segment); !opened) return opened;
  }
  if (!part.tape.empty()) {
    if (tape_ == nullptr) {
      auto file = os::open_durably(disk_, options_.folder / tape_name(part.segment));
      if (!file) return tl::unexpected(file.error());
      tape_ = std::move(*file);
    }
    if (Status done = tape_->append(part.tape); !done) return done;
    tape_unsynced_ = true;
  }
  if (!sync) return {};
  if (tape_unsynced_) {
    if (Status done = tape_->sync(); !done) return done;
    tape_unsynced_ = false;
  }
  if (Status done = lines_->append(part.lines); !done) return done;
  return lines_->sync();
}

Status Log::open_segment(std::uint64_t number) {
  if (tape_unsynced_) {
    if (Status done = tape_->sync(); !done) return done;
    tape_unsynced_ = false;
  }
  auto file = os::open_durably(disk_, options_.folder / segment_name(number));
  if (!file) return tl::unexpected(file.error());
  lines_ = std::move(*file);
  tape_.reset();
  open_segment_ = number;
  return {};
}

// Trouble with a checkpoint is no trouble with the chain: it is counted.
void Log::checkpoint(const Group& group, bool now) {
  const bool due = now || group.last >= checkpointed_ + kCheckpointRecords ||
                   group.mono_ns >= checkpoint_ns_ + kCheckpointNs;
  if (!due) return;
  checkpointed_ = group.last;
  checkpoint_ns_ = group.mono_ns;
  const auto signed_now = sign(key_, chain_, group.last, group.head, group.wall_ns);
  if (!signed_now) return;
  const std::string line = to_line(*signed_now);
  const auto give = [&](std::unique_ptr<os::DiskFile>& file, const fs::path& path) {
    if (path.empty()) return;
    // What a crash has torn gets an end first: an empty line means nothing.
    std::string text = line + "\n";
    if (file == nullptr) {
      auto opened = os::open_durably(disk_, path);
      if (opened) file = std::move(*opened);
      text.insert(0, 1, '\n');
    }
    if (file != nullptr && file->append(text) && file->sync()) return;
    file.reset();
    const std::lock_guard lock(mutex_);
    ++witness_failures_;
  };
  give(checkpoints_, options_.folder / "checkpoints");
  give(witness_, options_.witness);
  if (options_.on_checkpoint) options_.on_checkpoint(line);
}

}  // namespace arqon::audit
