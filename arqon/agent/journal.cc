#include "arqon/agent/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/base/rng.h"

namespace arqon::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kJournal = "agent.journal";
constexpr std::string_view kConfirmed = "confirmed.json";
// A week of a change a second would be 100 MiB; it begins anew long before.
constexpr std::uint64_t kBytesMax = 4u << 20;
constexpr std::size_t kReadMax = 64u << 20;
constexpr wire::JsonLimits kLineLimits{.bytes_max = 1u << 20, .depth_max = 8, .values_max = 4096};

wire::Value values_array(const Config& values) {
  wire::Array out;
  for (const double v : values) out.emplace_back(v);
  return out;
}

std::optional<std::uint64_t> whole(const wire::Value* value) {
  const std::int64_t* number = value == nullptr ? nullptr : value->as_int();
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

std::string text(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  const std::string* out = value == nullptr ? nullptr : value->as_string();
  return out == nullptr ? std::string() : *out;
}

// With a hash of itself behind it: a bit that flips in a number is still a number.
wire::Object checked(wire::Object object) {
  const std::uint64_t hash = hash_bytes(wire::write_json(object));
  object.emplace_back("check", fmt::format("{:016x}", hash));
  return object;
}

bool check_holds(const wire::Value& value) {
  const wire::Object* object = value.as_object();
  if (object == nullptr || object->empty() || object->back().first != "check") return false;
  return checked(wire::Object(object->begin(), object->end() - 1)).back().second ==
         object->back().second;
}

// What one line adds to the story so far.
void follow(const wire::Value& line, Found& found) {
  const std::string event = text(line, "event");
  if (const auto generation = whole(line.find("generation"))) {
    found.generation = std::max(found.generation, *generation);
  }
  if (event == "released") found.released = true;
  if (event == "intent" || event == "confirmed") found.released = false;
  if (event == "intent") found.open = true;
  if (event == "restored") found.open = false;
  if (event == "confirmed") {
    found.open = false;
    const wire::Value* set = line.find("set");
    auto confirmed = set == nullptr ? std::nullopt : read_confirmed(*set);
    if (confirmed) found.confirmed = std::move(confirmed);
  }
}

// Returns how many bytes there are.
Result<std::uint64_t> read_lines(os::Disk& disk, const fs::path& path, Found& found) {
  if (!disk.exists(path)) return 0;
  const auto content = disk.read(path, kReadMax);
  if (!content) return tl::unexpected(content.error());
  for (std::size_t at = 0; at < content->size();) {
    const std::size_t end = std::min(content->find('\n', at), content->size());
    const auto line =
        wire::parse_json(std::string_view(*content).substr(at, end - at), kLineLimits);
    if (line && check_holds(*line)) {
      follow(*line, found);
    } else if (end > at) {
      // Torn by a crash, or worse: whatever it said, something may have been written.
      ++found.damaged;
      found.open = true;
    }
    at = end + 1;
  }
  return content->size();
}

// The file is the newer of the two: it is written first.
Status read_confirmed_file(os::Disk& disk, const fs::path& path, Found& found) {
  if (!disk.exists(path)) return {};
  const auto content = disk.read(path, kLineLimits.bytes_max);
  if (!content) return tl::unexpected(content.error());
  const auto value = wire::parse_json(*content, kLineLimits);
  // Schema 1, of the versions before, has no check.
  const wire::Value* schema = value ? value->find("schema") : nullptr;
  const bool sound = schema != nullptr && (*schema == wire::Value(1) || check_holds(*value));
  auto confirmed = sound ? read_confirmed(*value) : std::nullopt;
  if (confirmed) {
    found.generation = std::max(found.generation, confirmed->generation);
    found.confirmed = std::move(confirmed);
    return {};
  }
  if (found.confirmed) {
    ++found.damaged;
    return {};
  }
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("{}: the confirmed set cannot be read, and the journal holds none; put "
                          "the engine right by hand and remove the file",
                          path.string()));
}

}  // namespace

wire::Object confirmed_object(const Confirmed& c) {
  wire::Array knobs;
  for (const std::string& name : c.knobs) knobs.emplace_back(name);
  return {{"schema", 2},
          {"knobs", std::move(knobs)},
          {"values", values_array(c.values)},
          {"engine", c.identity.engine},
          {"model", c.identity.model},
          {"hardware", c.identity.hardware},
          {"evidence", c.evidence},
          {"at", c.at},
          {"generation", c.generation},
          {"epoch", c.epoch}};
}

std::optional<Confirmed> read_confirmed(const wire::Value& value) {
  const wire::Value* knobs = value.find("knobs");
  const wire::Value* values = value.find("values");
  const auto generation = whole(value.find("generation"));
  const auto epoch = whole(value.find("epoch"));
  if (knobs == nullptr || knobs->as_array() == nullptr || values == nullptr ||
      values->as_array() == nullptr || !generation || !epoch) {
    return std::nullopt;
  }
  Confirmed out;
  for (const wire::Value& name : *knobs->as_array()) {
    if (name.as_string() == nullptr) return std::nullopt;
    out.knobs.push_back(*name.as_string());
  }
  for (const wire::Value& v : *values->as_array()) {
    if (!v.is_number()) return std::nullopt;
    out.values.push_back(v.number());
  }
  out.identity = {text(value, "engine"), text(value, "model"), text(value, "hardware")};
  out.evidence = text(value, "evidence");
  out.at = text(value, "at");
  out.generation = *generation;
  out.epoch = *epoch;
  return out;
}

Journal::Journal(std::shared_ptr<os::Disk> disk, fs::path folder,
                 std::unique_ptr<os::DiskFile> file, Found found)
    : disk_(std::move(disk)),
      folder_(std::move(folder)),
      file_(std::move(file)),
      found_(std::move(found)) {}

Result<Journal> Journal::open(std::shared_ptr<os::Disk> disk, const fs::path& folder) {
  Found found;
  const auto bytes = read_lines(*disk, folder / kJournal, found);
  if (!bytes) return tl::unexpected(bytes.error());
  if (Status read = read_confirmed_file(*disk, folder / kConfirmed, found); !read) {
    return tl::unexpected(read.error());
  }
  auto file = os::open_durably(*disk, folder / kJournal);
  if (!file) return tl::unexpected(file.error());
  // What follows a torn line begins a line of its own.
  if (found.damaged > 0) {
    if (Status done = (*file)->append("\n"); !done) return tl::unexpected(done.error());
  }
  Journal journal(std::move(disk), folder, std::move(*file), std::move(found));
  journal.bytes_ = *bytes;
  return journal;
}

Status Journal::append(std::string_view step, wire::Object line) {
  const std::string bytes = wire::write_json(checked(std::move(line))) + "\n";
  if (at_step) at_step(step);
  if (Status done = file_->append(bytes); !done) return done;
  bytes_ += bytes.size();
  if (at_step) at_step("sync");
  return file_->sync();
}

Status Journal::intent(std::uint64_t generation, const Config& values, int replica,
                       std::string_view action) {
  return append("intent", {{"event", "intent"},
                           {"generation", generation},
                           {"action", action},
                           {"replica", replica},
                           {"values", values_array(values)}});
}

Status Journal::outcome(std::uint64_t generation, const Result<Config>& effective) {
  wire::Object line{{"event", "outcome"}, {"generation", generation}};
  if (effective) {
    line.emplace_back("effective", values_array(*effective));
  } else {
    line.emplace_back("code", to_string(effective.error().code));
    line.emplace_back("error", effective.error().message);
  }
  return append("outcome", std::move(line));
}

Status Journal::confirm(const Confirmed& confirmed) {
  if (at_step) at_step("confirmed file");
  const std::string text = wire::write_json(checked(confirmed_object(confirmed)), 1) + "\n";
  Status done = os::replace_file(*disk_, folder_ / kConfirmed, text);
  if (!done) return done;
  if (bytes_ > kBytesMax) {
    if (at_step) at_step("new journal");
    if (done = os::replace_file(*disk_, folder_ / kJournal, ""); !done) return done;
    auto file = os::open_durably(*disk_, folder_ / kJournal);
    if (!file) return tl::unexpected(file.error());
    file_ = std::move(*file);
    bytes_ = 0;
  }
  return append("confirmed", {{"event", "confirmed"},
                              {"generation", confirmed.generation},
                              {"set", confirmed_object(confirmed)}});
}

Status Journal::restored(std::uint64_t generation) {
  return append("restored", {{"event", "restored"}, {"generation", generation}});
}

Status Journal::note(std::string_view event, std::string_view text) {
  return append("note", {{"event", event}, {"text", text}});
}

}  // namespace arqon::agent
