#include "arqon/adapters/vllm/steering.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "arqon/adapters/vllm/knobs.h"
#include "arqon/adapters/vllm/state.h"

namespace arqon::adapters::vllm {
namespace {

constexpr std::size_t kRanks = kApiReport;
// Reports of one start stand closer together than this; further apart they are of another start.
constexpr std::int64_t kSameStart_ns = 600'000'000'000;

std::int64_t nanoseconds(TimePoint t) { return t.time_since_epoch().count(); }

bool process_exists(std::int64_t pid) {
  std::error_code ignored;
  return pid > 0 && std::filesystem::exists(fmt::format("/proc/{}", pid), ignored);
}

std::int64_t own_pid() {
  std::error_code error;
  const std::string text = std::filesystem::read_symlink("/proc/self", error).string();
  std::int64_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

}  // namespace

Steering::Steering(SteeringOptions options, Page page)
    : options_(std::move(options)), page_(std::move(page)) {}

Result<Steering> Steering::open(SteeringOptions options) {
  std::error_code ignored;
  if (!std::filesystem::exists(options.page, ignored)) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("no engine has made {}", options.page.string()));
  }
  auto page = Page::open(options.page);
  if (!page) return tl::unexpected(page.error());
  Steering out(std::move(options), std::move(*page));
  out.read_reports();
  if (!out.readable()) return fail(ErrorCode::kUnavailable, out.trouble());
  if (!out.rank().present()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("no engine reports on {}", out.options_.page.string()));
  }
  if (!out.alive()) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("the engine that reported on {} (process {}) has gone; if it runs in "
                            "a container, say \"container\": true",
                            out.options_.page.string(), out.rank().pid));
  }
  out.command_ = out.page_.command().value_or(Block{});
  out.confirmed_ = out.page_.confirmed().value_or(Block{});
  out.lease_ns_ = out.page_.lease();
  out.page_.set_tuner_pid(own_pid());
  if (auto qualified = out.qualify(); !qualified) return tl::unexpected(qualified.error());
  if (out.confirmed_.epoch == 0) {
    out.confirmed_ = read_confirmed(out.folder_, out.identity_).value_or(Block{});
  }
  return out;
}

Status Steering::reopen() {
  auto page = Page::open(options_.page);
  if (!page) return tl::unexpected(page.error());
  page_ = std::move(*page);
  page_.set_tuner_pid(own_pid());
  // The engine goes back to the confirmed set when its page vanishes. An unproven command must not
  // come back with the file.
  const auto found = page_.confirmed();
  if (confirmed_.epoch != 0 && (!found || found->epoch < confirmed_.epoch)) {
    page_.write_confirmed(confirmed_);
  }
  page_.set_lease(lease_ns_);
  pending_ = false;
  return {};
}

void Steering::read() {
  if (!page_.still_there()) {
    if (auto again = reopen(); !again) {
      trouble_ = again.error().message;
      return;
    }
  }
  read_reports();
  settle_pending();
}

void Steering::read_reports() {
  trouble_.clear();
  for (std::size_t i = 0; i < kReports; ++i) {
    const auto report = page_.report(i);
    if (!report) {
      trouble_ =
          fmt::format("report {} on {} is torn or makes no sense", i, options_.page.string());
      continue;
    }
    // A page made anew is blank until the engine's next step.
    if (report->present() || !reports_[i].present()) reports_[i] = *report;
  }
}

bool Steering::counts(const Report& report) const {
  if (!report.present()) return false;
  if (!options_.container) return process_exists(report.pid);
  return std::abs(report.start_ns - rank().start_ns) < kSameStart_ns;
}

bool Steering::alive() const {
  return rank().present() && (options_.container || process_exists(rank().pid));
}

std::optional<Report> Steering::api() const {
  const Report& api = reports_[kApiReport];
  return counts(api) ? std::optional(api) : std::nullopt;
}

std::int64_t Steering::start_ns() const {
  std::int64_t latest = rank().start_ns;
  for (std::size_t i = 1; i < kRanks; ++i) {
    if (counts(reports_[i])) latest = std::max(latest, reports_[i].start_ns);
  }
  return latest;
}

Look::Scheduler Steering::scheduler() const {
  Look::Scheduler out;
  double free = 0, blocks = 0;
  for (std::size_t i = 0; i < kRanks; ++i) {
    const Report& r = reports_[i];
    if (i > 0 && !counts(r)) continue;
    out.steps += r.steps;
    out.last_step = std::max(out.last_step, TimePoint(Duration(r.last_step_ns)));
    out.running += r.running;
    out.waiting += r.waiting;  // those it skipped are among them
    out.finished += r.finished;
    out.cap += r.effective[kBatchSize];
    free += static_cast<double>(r.blocks_free);
    blocks += static_cast<double>(r.blocks);
  }
  out.blocks_free = blocks > 0 ? free / blocks : 1;
  return out;
}

double Steering::kv_use() const { return 1 - scheduler().blocks_free; }

// --- What is in force ---------------------------------------------------------------------------
const Block* Steering::given(std::int64_t epoch) const {
  if (epoch == 0) return nullptr;
  if (epoch == command_.epoch) return &command_;
  return epoch == confirmed_.epoch ? &confirmed_ : nullptr;
}

std::int64_t Steering::next_epoch() const {
  return std::max({command_.epoch, confirmed_.epoch, rank().epoch}) + 1;
}

Steering::InForce Steering::in_force(TimePoint now) const {
  InForce out{rank().effective, !pending_};
  if (const auto api = this->api()) {
    for (std::size_t i = kMaxQueuedRequests; i < kSlotsUsed; ++i) {
      out.values[i] = api->effective[i];
    }
  }
  if (!pending_) return out;
  // Nobody has looked yet: the command, or what the lease's end has put in its place, will hold
  // from the first step.
  const bool lapsed = lease_ns_ < nanoseconds(now);
  const Block& next = lapsed && confirmed_.epoch != 0 ? confirmed_ : command_;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (next.has(i)) out.values[i] = next.values[i];
  }
  return out;
}

void Steering::command(const std::vector<Change>& changes) {
  const Block* base = given(pending_ ? command_.epoch : rank().epoch);
  Block block = base == nullptr ? Block{} : *base;
  block.epoch = next_epoch();
  for (const auto& [slot, value] : changes) block.set(slot, value);
  command_ = block;
  pending_ = true;
  start_at_command_ns_ = start_ns();
  page_.write_command(block);
}

Steering::Ack Steering::ack() const {
  if (start_ns() != start_at_command_ns_) return Ack::kRestarted;
  for (std::size_t i = 0; i < kRanks; ++i) {
    const Report& r = reports_[i];
    if ((i == 0 || counts(r)) && r.epoch != command_.epoch) return Ack::kNotYet;
  }
  // The admission limits are the API process's.
  const bool for_api = command_.has(kMaxQueuedRequests) || command_.has(kMaxQueuedTokens);
  const auto api = this->api();
  if (for_api && api && api->epoch != command_.epoch) return Ack::kNotYet;
  return Ack::kYes;
}

void Steering::settle_pending() {
  if (!pending_) return;
  // Acknowledged, restarted, or lapsed since: in each case the report says what holds.
  const bool lapsed =
      rank().has(kLapsed) && rank().epoch == confirmed_.epoch && lease_ns_ < rank().last_step_ns;
  if (ack() != Ack::kNotYet || lapsed) pending_ = false;
}

// --- The way back -------------------------------------------------------------------------------
Status Steering::confirm(const std::vector<Slot>& tuned, TimePoint now) {
  const InForce now_in_force = in_force(now);
  const std::int64_t epoch = pending_ ? command_.epoch : rank().epoch;
  const Block* base = given(epoch);
  Block block = base == nullptr ? Block{} : *base;
  block.epoch = base == nullptr ? next_epoch() : epoch;
  for (const Slot slot : tuned) block.set(slot, now_in_force.values[slot]);
  if (auto written = write_confirmed(folder_, identity_, block); !written) return written;
  confirmed_ = block;
  page_.write_confirmed(block);
  return {};
}

void Steering::renew(TimePoint deadline) {
  lease_ns_ = nanoseconds(deadline);
  page_.set_lease(lease_ns_);
}

TimePoint Steering::lease() const { return TimePoint(Duration(lease_ns_)); }

// --- Which engine this is -----------------------------------------------------------------------
std::string Steering::changed() const {
  if (!qualified_) return "it was never qualified";
  const Report& was = *qualified_;
  const Report& is = rank();
  if (is.version_hash != was.version_hash) return "it is another version of vLLM";
  if (is.identity_hash != was.identity_hash) return "it serves another model, or on other hardware";
  const auto differs = [](std::string_view what, std::int64_t before, std::int64_t now) {
    return before == now ? "" : fmt::format("{} was {} and is {}", what, before, now);
  };
  const std::array found = {
      differs("max_num_seqs", was.max_num_seqs, is.max_num_seqs),
      differs("max_num_batched_tokens", was.max_num_batched_tokens, is.max_num_batched_tokens),
      differs("max_model_len", was.max_model_len, is.max_model_len),
      differs("num_speculative_tokens", was.num_speculative_tokens, is.num_speculative_tokens),
      differs("block size", was.block_size, is.block_size),
      was.supported == is.supported && was.speculation_table == is.speculation_table
          ? std::string()
          : std::string("other knobs are live")};
  for (const std::string& change : found) {
    if (!change.empty()) return change;
  }
  return "";
}

Status Steering::qualify() {
  if (auto read = read_identity(); !read) return read;
  const bool other = qualified_ && qualified_->identity_hash != rank().identity_hash;
  qualified_ = rank();
  pending_ = false;
  if (other && confirmed_.epoch != 0) {
    // Proven on another engine is not proven: this one goes back to its own boot values.
    confirmed_ = Block{.epoch = next_epoch()};
    page_.write_confirmed(confirmed_);
  }
  return {};
}

Status Steering::read_identity() {
  std::vector<std::filesystem::path> folders = {options_.state};
  if (options_.state.empty()) folders = folders_by_environment();
  std::string last = "the engine's state folder is not known: give it as \"state\"";
  for (const std::filesystem::path& folder : folders) {
    auto identity = vllm::read_identity(folder);
    if (!identity) {
      last = identity.error().message;
    } else if (identity_hash(*identity) != rank().identity_hash) {
      last = fmt::format(
          "{}/identity.json is another engine's (its hash is not the page's): give "
          "each engine an ARQONHPO_VLLM_NAME of its own",
          folder.string());
    } else {
      identity_ = std::move(*identity);
      folder_ = folder;
      return {};
    }
  }
  return fail(ErrorCode::kUnavailable, last);
}

// vLLM names its processes, which wipes out the environment that the system shows: so its relatives
// are asked too, and last this process, which mostly has the same user's. What identity.json says
// there must be what the page says.
std::vector<std::filesystem::path> Steering::folders_by_environment() const {
  std::string name = options_.page.stem().string();
  name.erase(0, std::string_view("arqonhpo-vllm-").size());
  std::vector<std::filesystem::path> out;
  for (const std::int64_t pid :
       {rank().pid, reports_[kApiReport].pid, parent_of(rank().pid), own_pid()}) {
    if (const auto root = state_root_of_process(pid)) out.push_back(*root / name);
  }
  return out;
}

}  // namespace arqon::adapters::vllm
