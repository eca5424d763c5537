#include "arqon/adapters/haproxy/log_reader.h"

#include <algorithm>
#include <cmath>

namespace arqon::adapters::haproxy {
namespace {

using serving::ClassCounters;

Result<os::DatagramReceiver> listen(const LogAddress& address) {
  if (const auto* path = std::get_if<std::filesystem::path>(&address)) {
    return os::DatagramReceiver::open_unix(*path);
  }
  return os::DatagramReceiver::open_udp(std::get<std::uint16_t>(address));
}

}  // namespace

void add(const std::vector<ClassCounters>& from, std::vector<ClassCounters>& to) {
  for (std::size_t c = 0; c < to.size(); ++c) {
    to[c].arrived += from[c].arrived;
    to[c].good += from[c].good;
    to[c].bad += from[c].bad;
    for (std::size_t i = 0; i < serving::kLimits; ++i) to[c].bad_by[i] += from[c].bad_by[i];
    to[c].prompt_tokens += from[c].prompt_tokens;
    to[c].output_tokens += from[c].output_tokens;
    to[c].good_tokens += from[c].good_tokens;
    to[c].ttft_ms += from[c].ttft_ms;
    to[c].gap_ms += from[c].gap_ms;
    to[c].tpot_ms += from[c].tpot_ms;
  }
}

LogReader::LogReader(os::DatagramReceiver receiver, LogRules rules)
    : receiver_(std::move(receiver)), rules_(std::move(rules)) {
  reset();
}

Result<LogReader> LogReader::open(const LogAddress& address, LogRules rules) {
  auto receiver = listen(address);
  if (!receiver) return tl::unexpected(receiver.error().with_context("HAProxy's log"));
  return LogReader(std::move(*receiver), std::move(rules));
}

void LogReader::reset() {
  counters_.assign(rules_.servers.size() + 1, std::vector<ClassCounters>(rules_.classes.size()));
}

void LogReader::drain(std::int64_t pid) {
  for (const LogLine& line : std::exchange(kept_, {})) {
    if (line.pid == pid) {
      count(line);
    } else {
      ++counts_.foreign;
    }
  }
  for (int i = 0; i < kBatch; ++i) {
    const auto datagram = receiver_.next();
    if (!datagram) break;
    take(*datagram, pid);
  }
}

void LogReader::take(std::string_view datagram, std::int64_t pid) {
  LogLine line;
  switch (parse_log_line(datagram, line)) {
    case LineKind::kOther: return;
    case LineKind::kBroken: ++counts_.broken; return;
    case LineKind::kRequest: break;
  }
  if (line.backend != rules_.backend) return;
  if (line.pid == pid) {
    count(line);
  } else if (kept_.size() < kKeptMax) {
    kept_.push_back(std::move(line));
  } else {
    ++counts_.foreign;
  }
}

void LogReader::count(const LogLine& line) {
  ++counts_.lines;
  const std::size_t c = class_of(line);
  const serving::Slo& slo = rules_.classes[c];
  const Ended ended = how_it_ended(line, slo);
  if (ended.kind == Ended::Kind::kCancelled) ++counts_.cancelled;
  if (ended.kind != Ended::Kind::kCounted) return;
  if (ended.outcome.end == serving::RequestOutcome::End::kFinished && line.first_byte_ms < 0) {
    ++counts_.unmarked;
  }
  serving::count(ended.outcome, slo, counters_[place_of(line.server)][c]);
}

std::size_t LogReader::class_of(const LogLine& line) const {
  if (rules_.class_by == ClassBy::kNothing) return 0;
  const std::string& text = rules_.class_by == ClassBy::kHeader ? line.header : line.frontend;
  const auto renamed =
      std::find_if(rules_.class_names.begin(), rules_.class_names.end(),
                   [&](const auto& name) { return name.first == text; });
  const std::string& name = renamed == rules_.class_names.end() ? text : renamed->second;
  for (std::size_t c = 0; c < rules_.classes.size(); ++c) {
    if (rules_.classes[c].name == name) return c;
  }
  return 0;
}

std::size_t LogReader::place_of(std::string_view server) const {
  const auto it = std::find(rules_.servers.begin(), rules_.servers.end(), server);
  return static_cast<std::size_t>(it - rules_.servers.begin());
}

std::vector<ClassCounters> LogReader::total() const {
  std::vector<ClassCounters> sum(rules_.classes.size());
  for (const auto& server : counters_) add(server, sum);
  return sum;
}

}  // namespace arqon::adapters::haproxy
