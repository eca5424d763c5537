#include "arqon/adapters/triton/trace_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "arqon/os/file.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::triton {
namespace {

// Files of one run may be finished a little out of order; a server needs longer than this to boot.
constexpr std::chrono::seconds kDisorder{1};
constexpr std::size_t kBytesMax = 32u << 20;  // about 35,000 requests a file

// What the events of one request said so far.
struct Trail {
  bool ours = false;
  bool computed = false;
  std::uint64_t received = 0, started = 0, answered = 0, ended = 0;
};

void note(Trail& trail, std::string_view event, std::uint64_t ns) {
  if (event == "HTTP_RECV_START" || event == "GRPC_WAITREAD_END") {
    trail.received = ns;
  } else if (event == "REQUEST_START") {
    trail.started = ns;
  } else if (event == "COMPUTE_START") {
    trail.computed = true;
  } else if (event == "INFER_RESPONSE_COMPLETE" || event == "HTTP_SEND_END" ||
             event == "GRPC_SEND_END") {
    trail.answered = std::max(trail.answered, ns);  // the last one of a stream
  } else if (event == "REQUEST_END") {
    trail.ended = ns;
  }
}

bool read_entry(const wire::Value& entry, std::string_view model,
                std::map<std::int64_t, Trail>& trails) {
  const wire::Value* id = entry.find("id");
  if (id == nullptr || id->as_int() == nullptr) return false;
  Trail& trail = trails[*id->as_int()];
  if (const wire::Value* name = entry.find("model_name")) {
    trail.ours = name->as_string() != nullptr && *name->as_string() == model;
  }
  const wire::Value* stamps = entry.find("timestamps");
  if (stamps == nullptr) return true;
  if (stamps->as_array() == nullptr) return false;
  for (const wire::Value& stamp : *stamps->as_array()) {
    const wire::Value* name = stamp.find("name");
    const wire::Value* ns = stamp.find("ns");
    if (name == nullptr || name->as_string() == nullptr || ns == nullptr ||
        ns->as_int() == nullptr || *ns->as_int() < 0) {
      return false;
    }
    note(trail, *name->as_string(), static_cast<std::uint64_t>(*ns->as_int()));
  }
  return true;
}

// A file holds requests that are over. One that a full queue refused has no end of its own. Nothing
// when its times run backwards.
std::optional<TracedRequest> finish(const Trail& trail) {
  if (!trail.ours) return std::nullopt;
  TracedRequest request;
  request.begin_ns = trail.received != 0 ? trail.received : trail.started;
  request.end_ns = std::max({trail.answered, trail.ended, trail.started});
  request.served = trail.computed && trail.ended != 0;
  if (request.begin_ns == 0 || request.end_ns < request.begin_ns) return std::nullopt;
  return request;
}

}  // namespace

Result<std::vector<TracedRequest>> parse_trace(std::string_view text, std::string_view model) {
  wire::JsonLimits limits;
  limits.bytes_max = kBytesMax;
  limits.values_max = 4u << 20;
  const auto list = wire::parse_json(text, limits);
  if (!list || list->as_array() == nullptr) {
    return fail(ErrorCode::kInvalidConfig, "not a list of trace events");
  }
  std::map<std::int64_t, Trail> trails;
  for (const wire::Value& entry : *list->as_array()) {
    if (!read_entry(entry, model, trails)) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("line {}, column {}: not a trace event", entry.line, entry.column));
    }
  }
  std::vector<TracedRequest> requests;
  for (const auto& [id, trail] : trails) {
    if (const auto request = finish(trail)) requests.push_back(*request);
  }
  return requests;
}

std::filesystem::path TraceLog::numbered(std::uint64_t number) const {
  return fmt::format("{}.{}", file_.string(), number);
}

void TraceLog::skip_existing() {
  std::error_code none;
  for (std::uint64_t number = 0;; ++number) {
    const auto written = std::filesystem::last_write_time(numbered(number), none);
    if (none) return;
    // What is older than the one before it is from another run.
    if (number > 0 && written + kDisorder < last_write_) return;
    last_write_ = std::max(last_write_, written);
    next_ = number + 1;
  }
}

bool TraceLog::stale(std::filesystem::file_time_type written) const {
  constexpr auto kNothing = std::filesystem::file_time_type::min();
  return last_write_ != kNothing && written < last_write_ - kDisorder;
}

bool TraceLog::began_again() const {
  std::error_code none;
  const auto first = std::filesystem::last_write_time(numbered(0), none);
  return next_ != 0 && !none && first > last_write_;
}

std::optional<std::vector<TracedRequest>> TraceLog::take(std::uint64_t number) {
  std::error_code none;
  const auto path = numbered(number);
  const auto written = std::filesystem::last_write_time(path, none);
  if (none || stale(written)) return std::nullopt;
  const auto text = os::read_file(path, kBytesMax);
  if (!text) return std::nullopt;
  auto requests = parse_trace(*text, model_);
  if (!requests) {
    // Half-written: it is whole a moment later. Once the next one exists it never will be.
    const auto after = std::filesystem::last_write_time(numbered(number + 1), none);
    if (none || after + kDisorder < written) return std::nullopt;
    ++unreadable_;
    requests.emplace();
  }
  last_write_ = std::max(last_write_, written);
  return std::move(*requests);
}

std::vector<TracedRequest> TraceLog::poll() {
  std::vector<TracedRequest> all;
  for (int i = 0; i < kFilesPerPoll; ++i) {
    auto requests = take(next_);
    if (!requests && began_again()) {  // a server that restarts numbers from 0
      next_ = 0;
      requests = take(next_);
    }
    if (!requests) break;
    all.insert(all.end(), requests->begin(), requests->end());
    ++next_;
  }
  return all;
}

}  // namespace arqon::adapters::triton
