#include "arqon/adapters/haproxy/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "arqon/os/socket.h"
#include "arqon/wire/csv.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::haproxy {
namespace {

constexpr std::size_t kAnswerBytesMax = 4u << 20;

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

// What HAProxy allows in the name of a proxy or server; anything else could end the command.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 256 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == ':';
         });
}

Status check_name(std::string_view name) {
  if (is_name(name)) return {};
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("\"{}\" is no name HAProxy could have given (letters, digits, - _ . :)",
                          wire::shortened(name)));
}

tl::unexpected<Error> strange(std::string_view command, std::string_view what) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("the answer to \"{}\" makes no sense: {}", command, what));
}

// HAProxy ends every answer with an empty line; without it the answer was cut.
bool is_whole(std::string_view answer) { return answer.ends_with("\n\n"); }

// The columns of `show stat` that are used, found by name because versions add columns.
struct Columns {
  static constexpr std::array<std::string_view, 13> kNames{
      "pxname", "svname", "qcur", "scur",    "slim", "stot", "status",
      "weight", "act",    "type", "uweight", "addr", "algo"};
  enum Field : std::size_t {
    kProxy, kServer, kQueued, kOpen, kLimit, kSent, kStatus,
    kWeight, kActive, kType, kOwnWeight, kAddress, kAlgorithm
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::array<std::size_t, kNames.size()> at{};

  // The name of the first column that must be there and is not.
  std::string_view read(std::vector<std::string> header) {
    if (!header.empty() && header[0].starts_with("# ")) header[0].erase(0, 2);
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      const auto it = std::find(header.begin(), header.end(), kNames[i]);
      at[i] = it == header.end() ? kNone : static_cast<std::size_t>(it - header.begin());
      if (at[i] == kNone && i < kOwnWeight) return kNames[i];
    }
    return {};
  }
  std::string_view get(const std::vector<std::string>& row, Field field) const {
    return at[field] < row.size() ? std::string_view(row[at[field]]) : std::string_view{};
  }
};

// Counts of one row; false when one of them is no number.
bool read_counts(const Columns& columns, const std::vector<std::string>& row, std::uint64_t& queued,
                 std::uint64_t& open, std::uint64_t& sent) {
  const auto q = number<std::uint64_t>(columns.get(row, Columns::kQueued));
  const auto o = number<std::uint64_t>(columns.get(row, Columns::kOpen));
  const auto s = number<std::uint64_t>(columns.get(row, Columns::kSent));
  if (!q || !o || !s) return false;
  queued = *q;
  open = *o;
  sent = *s;
  return true;
}

std::optional<Server> read_server(const Columns& columns, const std::vector<std::string>& row) {
  Server server;
  server.name = columns.get(row, Columns::kServer);
  server.status = columns.get(row, Columns::kStatus);
  server.address = columns.get(row, Columns::kAddress);
  if (!read_counts(columns, row, server.queued, server.open, server.sent)) return std::nullopt;
  // "weight" is what slow start and the like leave of it; before 2.4 there is no other column.
  std::string_view weight = columns.get(row, Columns::kOwnWeight);
  if (weight.empty()) weight = columns.get(row, Columns::kWeight);
  const auto w = number<int>(weight);
  if (!w || *w < 0 || *w > kWeightMax) return std::nullopt;
  server.weight = *w;
  const std::string_view limit = columns.get(row, Columns::kLimit);
  if (!limit.empty()) {
    server.maxconn = number<std::int64_t>(limit);
    if (!server.maxconn) return std::nullopt;
  }
  return server;
}

}  // namespace

bool Server::up() const { return status.starts_with("UP") || status == "no check"; }
bool Server::drained() const { return status.starts_with("DRAIN"); }
bool Server::in_maintenance() const { return status.starts_with("MAINT"); }

const Server* Backend::find(std::string_view server) const {
  const auto it = std::find_if(servers.begin(), servers.end(),
                               [&](const Server& s) { return s.name == server; });
  return it == servers.end() ? nullptr : &*it;
}

bool takes_weights(std::string_view algorithm) {
  return algorithm != "static-rr" && algorithm != "first";
}

bool shares_by_weight(std::string_view algorithm) {
  return algorithm.empty() || algorithm == "roundrobin" || algorithm == "random";
}

Result<Process> parse_info(std::string_view text) {
  if (!is_whole(text)) return strange("show info", "it was cut");
  Process process;
  bool has_version = false, has_pid = false, has_start = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 2));
    if (key == "Version") {
      process.version = wire::shortened(value, 60);
      has_version = !value.empty();
    } else if (key == "Pid") {
      const auto pid = number<std::int64_t>(value);
      if (!pid) return strange("show info", "Pid is no number");
      process.pid = *pid;
      has_pid = true;
    } else if (key == "Start_time_sec") {
      const auto start = number<std::int64_t>(value);
      if (!start) return strange("show info", "Start_time_sec is no number");
      process.started_s = *start;
      has_start = true;
    } else if (key == "Stopping") {
      process.stopping = value != "0";
    } else if (key == "DroppedLogs") {
      process.dropped_logs = number<std::uint64_t>(value).value_or(0);
    }
  }
  if (!has_version || !has_pid || !has_start) {
    return strange("show info", "Version, Pid or Start_time_sec is missing");
  }
  return process;
}

Result<std::vector<Backend>> parse_stat(std::string_view text) {
  if (!is_whole(text)) return strange("show stat", "it was cut");
  wire::CsvReader reader(text);
  std::vector<std::string> row;
  Columns columns;
  if (!reader.next(row)) return strange("show stat", "it is empty");
  if (const std::string_view missing = columns.read(row); !missing.empty()) {
    return strange("show stat", fmt::format("no column \"{}\"", missing));
  }
  std::vector<Backend> backends;
  const auto of = [&](std::string_view name) -> Backend& {
    const auto it = std::find_if(backends.begin(), backends.end(),
                                 [&](const Backend& b) { return b.name == name; });
    if (it != backends.end()) return *it;
    return backends.emplace_back(
        Backend{.name = std::string(name), .algorithm = {}, .servers = {}});
  };
  while (reader.next(row)) {
    const std::string_view type = columns.get(row, Columns::kType);
    if (type != "1" && type != "2") continue;  // 0 = frontend, 3 = listener
    if (columns.get(row, Columns::kProxy).empty()) return strange("show stat", "a row has no name");
    Backend& backend = of(columns.get(row, Columns::kProxy));
    if (type == "1") {
      backend.algorithm = columns.get(row, Columns::kAlgorithm);
      if (read_counts(columns, row, backend.queued, backend.open, backend.sent)) continue;
    } else if (auto server = read_server(columns, row); server) {
      backend.servers.push_back(std::move(*server));
      continue;
    }
    return strange("show stat", fmt::format("line {}: a count is no number", reader.line()));
  }
  if (reader.error()) return strange("show stat", reader.error()->message);
  return backends;
}

Result<std::string> Runtime::ask(std::string_view command) const {
  auto answer = os::ask_unix(socket_, fmt::format("{}\n", command), timeout_, kAnswerBytesMax);
  if (!answer) return tl::unexpected(answer.error().with_context("HAProxy's runtime socket"));
  return answer;
}

Result<Process> Runtime::process() const {
  const auto answer = ask("show info");
  if (!answer) return tl::unexpected(answer.error());
  return parse_info(*answer);
}

Result<std::vector<Backend>> Runtime::backends() const {
  const auto answer = ask("show stat");
  if (!answer) return tl::unexpected(answer.error());
  return parse_stat(*answer);
}

Result<Backend> Runtime::backend(std::string_view name) const {
  auto all = backends();
  if (!all) return tl::unexpected(all.error());
  std::string names;
  for (Backend& backend : *all) {
    if (backend.name == name) return std::move(backend);
    names += (names.empty() ? "" : ", ") + backend.name;
  }
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("HAProxy has no backend \"{}\"; it has {}", wire::shortened(name),
                          names.empty() ? "none" : names));
}

Status Runtime::write(const std::string& commands) const {
  const auto answer = ask(commands);
  if (!answer) return tl::unexpected(answer.error());
  const std::string_view said = trimmed(*answer);  // nothing at all means yes
  if (said.empty()) return {};
  return fail(ErrorCode::kRefused, fmt::format("HAProxy refused \"{}\": {}", commands,
                                               wire::shortened(said, 200)));
}

Status Runtime::set_weights(std::string_view backend,
                            const std::vector<std::pair<std::string, int>>& weights) const {
  if (const Status ok = check_name(backend); !ok) return ok;
  std::string commands;
  for (const auto& [server, weight] : weights) {
    if (const Status ok = check_name(server); !ok) return ok;
    if (weight < 0 || weight > kWeightMax) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("weight {} of {}: 0 to {} is allowed", weight, server, kWeightMax));
    }
    commands += fmt::format("{}set server {}/{} weight {}", commands.empty() ? "" : "; ", backend,
                            server, weight);
  }
  if (commands.empty()) return {};
  return write(commands);
}

Status Runtime::set_maxconn(std::string_view backend, std::string_view server,
                            std::int64_t value) const {
  if (const Status ok = check_name(backend); !ok) return ok;
  if (const Status ok = check_name(server); !ok) return ok;
  if (value < 1 || value > kMaxconnMax) {  // 0 and negative numbers would lift the limit
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("maxconn {} of {}: 1 to {} is allowed", value, server, kMaxconnMax));
  }
  return write(fmt::format("set maxconn server {}/{} {}", backend, server, value));
}

Status Runtime::set_state(std::string_view backend, std::string_view server, State state) const {
  if (const Status ok = check_name(backend); !ok) return ok;
  if (const Status ok = check_name(server); !ok) return ok;
  const std::string_view word = state == State::kReady   ? "ready"
                                : state == State::kDrain ? "drain"
                                                         : "maint";
  return write(fmt::format("set server {}/{} state {}", backend, server, word));
}

}  // namespace arqon::adapters::haproxy
