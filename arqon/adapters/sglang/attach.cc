#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/adapters/sglang/server.h"
#include "arqon/adapters/sglang/sglang.h"
#include "arqon/adapters/target_reader.h"
#include "arqon/os/file.h"

namespace arqon::adapters::sglang {
namespace {

using wire::Value;

constexpr std::size_t kKeyBytesMax = 4096;
// No build knows this key; one that says yes to it says yes to everything.
constexpr std::string_view kNobodysKey = "arqonhpo_asks_whether_you_listen";

constexpr std::string_view kNotOnThisBuild =
    "this build does not take it live: it needs a restart, or a build with change request #37661";

struct Target {
  Address address;
  ScrapedTarget scraped;
};

Result<Target> read_target(const Value& value) {
  std::vector<std::string> keys = {"url", "metrics", "api_key_file"};
  keys.insert(keys.end(), scraped_keys().begin(), scraped_keys().end());
  TargetReader reader(value, std::move(keys));
  Target out;
  out.address.url = reader.url("url");
  out.address.metrics = reader.url("metrics", out.address.url + "/metrics");
  const std::string key_file = reader.text("api_key_file", "");
  out.scraped = read_scraped(reader);
  out.address.timeout = out.scraped.timeout;
  if (const Status status = reader.status(); !status) return tl::unexpected(status.error());
  if (key_file.empty()) return out;
  auto key = os::read_file(key_file, kKeyBytesMax);
  if (!key) return tl::unexpected<Error>(key.error().with_context("target.api_key_file"));
  while (!key->empty() && key->back() <= ' ') key->pop_back();
  out.address.api_key = std::move(*key);
  return out;
}

// Some released builds answer every write with yes, also one they ignore (0.4 and early 0.5).
Result<bool> says_yes_to_everything(Server& server) {
  const Status asked = server.set({{std::string(kNobodysKey), Value(1)}});
  if (asked) return true;
  if (asked.error().code == ErrorCode::kRefused) return false;
  return tl::unexpected<Error>(asked.error());
}

// Writes each value that is in force once more: who accepts that will accept another one.
Status ask_what_is_accepted(Server& server, bool has_live_knobs, std::vector<Candidate>& all) {
  const auto credulous = says_yes_to_everything(server);
  if (!credulous) return tl::unexpected<Error>(credulous.error());
  for (Candidate& candidate : all) {
    if (!candidate.offer.absent.empty()) continue;
    if (*credulous && !has_live_knobs && !candidate.stock) {
      candidate.offer.absent = kNotOnThisBuild;
      continue;
    }
    const Value now = written(candidate, candidate.offer.value);
    const Status accepted = server.set({{candidate.key, now}});
    if (accepted) continue;
    if (accepted.error().code != ErrorCode::kRefused) return accepted;
    const bool key = accepted.error().message.find("api_key_file") != std::string::npos;
    candidate.offer.absent = key ? accepted.error().message : std::string(kNotOnThisBuild);
  }
  return {};
}

// The knobs that were chosen, over HTTP.
class LiveSurface final : public Surface {
 public:
  LiveSurface(Server server, std::vector<std::string> keys)
      : server_(std::move(server)), keys_(std::move(keys)) {}

  Result<Reading> read() override {
    const auto info = server_.info();
    if (!info) return tl::unexpected<Error>(info.error());
    Reading out{.identity = info->identity(), .flags = info->flags()};
    const std::vector<Candidate> all = candidates(*info);
    for (const std::string& key : keys_) {
      const auto it =
          std::find_if(all.begin(), all.end(), [&](const Candidate& c) { return c.key == key; });
      const Value* now = it == all.end() ? nullptr : info->in_force(key);
      if (now == nullptr || (!now->is_number() && now->as_string() == nullptr)) {
        return fail(ErrorCode::kUnavailable,
                    fmt::format("{} is no longer read back from {}/server_info", key,
                                server_.address().url));
      }
      out.values.push_back(smallest(*info, *it));
      out.capacity.push_back(it->offer.facts.boot_capacity);
    }
    return out;
  }

  Status write(const Config& from, const Config& to) override {
    const auto info = server_.info();
    if (!info) return tl::unexpected<Error>(info.error());
    const std::vector<Candidate> all = candidates(*info);
    wire::Object changes;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      const auto it = std::find_if(all.begin(), all.end(),
                                   [&](const Candidate& c) { return c.key == keys_[k]; });
      if (from[k] != to[k] && it != all.end()) {
        changes.emplace_back(keys_[k], written(*it, to[k]));
      }
    }
    return server_.set(changes);
  }

  Result<wire::Exposition> scrape() override { return server_.metrics(); }
  Result<bool> healthy() override { return server_.healthy(); }

 private:
  // A write reaches every rank; should they differ, the engine does what the smallest allows.
  static double smallest(const Info& info, const Candidate& candidate) {
    double out = candidate.offer.value;
    for (std::size_t rank = 1; rank < info.ranks(); ++rank) {
      const Value* there = info.in_force(candidate.key, rank);
      if (there != nullptr && there->is_number()) out = std::min(out, there->number());
    }
    return out;
  }

  Server server_;
  std::vector<std::string> keys_;
};

}  // namespace

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  auto target = read_target(request.target);
  if (!target) return tl::unexpected<Error>(target.error());
  auto outcomes = HistogramOutcomes::create(request.classes, sources(), target->scraped.rules);
  if (!outcomes) return tl::unexpected<Error>(outcomes.error());
  Server server(target->address);
  const auto info = server.info();
  if (!info) return tl::unexpected<Error>(info.error());
  const auto metrics = server.metrics();
  const Status counting =
      begin_counting(*outcomes, metrics, target->address.metrics, "start it with --enable-metrics");
  if (!counting) return tl::unexpected<Error>(counting.error());
  std::vector<Candidate> all = candidates(*info);
  if (const Status asked = ask_what_is_accepted(server, info->has_live_knobs(), all); !asked) {
    return tl::unexpected<Error>(asked.error());
  }
  std::vector<Offer> offers;
  for (const Candidate& candidate : all) offers.push_back(candidate.offer);
  auto chosen = choose("SGLang", request.knobs, offers);
  if (!chosen) return tl::unexpected<Error>(chosen.error());
  std::vector<std::string> keys;
  for (const std::size_t index : chosen->offers) keys.push_back(all[index].key);
  serving::Capabilities& capabilities = chosen->capabilities;
  complete(capabilities, info->identity().engine, request.classes, *outcomes, *metrics);
  auto surface = std::make_unique<LiveSurface>(std::move(server), std::move(keys));
  const auto found = surface->read();
  if (!found) return tl::unexpected<Error>(found.error());
  capabilities.boot = found->values;
  return std::make_unique<ScrapedEngine>(std::move(surface), std::move(capabilities), *found,
                                         std::move(*outcomes), target->scraped.options,
                                         request.clock);
}

Result<Probe> probe(std::string_view url, Clock& /*clock*/) {
  const std::string base(url);
  Server server({.url = base, .metrics = base + "/metrics", .timeout = std::chrono::seconds(2)});
  Probe out;
  const auto info = server.info();
  if (!info) {
    out.notes.push_back(info.error().message);
    out.next.push_back("python -m sglang.launch_server --model-path MODEL --enable-metrics");
    return out;
  }
  out.reachable = true;
  out.identity = info->identity();
  for (Candidate& candidate : candidates(*info)) {
    if (candidate.offer.absent.empty() && !candidate.stock && !info->has_live_knobs()) {
      candidate.offer.absent = kNotOnThisBuild;
    }
    out.knobs.push_back(report_of(candidate.offer));
  }
  out.notes.push_back(info->has_live_knobs()
                          ? "this build reports live scheduler knobs (change request #37661)"
                          : "a stock build: of the scheduler's knobs pp_max_micro_batch_size alone "
                            "is taken live; attach asks by writing the value in force once more");
  const auto healthy = server.healthy();
  out.notes.push_back(healthy && *healthy ? "/health answers" : "/health does not answer 200");
  const auto metrics = server.metrics();
  const bool told = metrics && metrics->has("sglang:num_running_reqs");
  out.notes.push_back(told ? "/metrics has SGLang's series"
                           : "/metrics has none of SGLang's series");
  if (!told) out.next.push_back("start it again with --enable-metrics");
  out.next.push_back(
      "no request's own times are told here: judge ttft_ms and e2e_ms on bucket "
      "bounds, set by --bucket-time-to-first-token, --bucket-e2e-request-latency");
  return out;
}

}  // namespace arqon::adapters::sglang
