// doctor's look at a vLLM: reachable, version, which knobs are live and why not, what to do next.
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "arqon/adapters/vllm/engine.h"
#include "arqon/adapters/vllm/vllm.h"

namespace arqon::adapters::vllm {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(2);

std::string number(double value) { return value < 0 ? "" : fmt::format("{:.10g}", value); }

KnobReport report_of(const Offer& offer) {
  KnobReport out;
  out.name = offer.kind->name;
  out.engine_name = offer.kind->engine_name;
  out.value = offer.available || offer.value > 0 ? number(offer.value) : "";
  if (offer.available) {
    out.access = offer.kind->slot ? "live" : "restart";
    out.why =
        fmt::format("{} .. {} ({}); {}", offer.min, offer.max, offer.capacity, offer.kind->note);
  } else {
    out.access = offer.kind->slot ? "absent" : "restart";
    out.why = offer.why;
  }
  return out;
}

void add_request_knobs(Probe& probe) {
  probe.knobs.push_back({"max_tokens", "max_tokens", "request", "",
                         "travels with each request; the engine's default is its model's"});
}

void add_notes(const Replica& replica, Probe& probe) {
  const Metrics& metrics = *replica.telemetry().metrics();
  for (const MatchedName& name : metrics.names) {
    if (name.name.empty()) {
      probe.notes.push_back(fmt::format("/metrics has no {}", name.need));
    } else if (name.former) {
      probe.notes.push_back(
          fmt::format("{} is read from its former name {}", name.need, name.name));
    }
  }
  probe.notes.push_back(fmt::format("{} running, {} waiting, {:.0f} % of the KV cache in use",
                                    metrics.running, metrics.waiting, 100 * metrics.kv_use));
  probe.notes.push_back(replica.telemetry().exact()
                            ? "exact times of every request come over the plugin's ring"
                            : "times of requests are known as histograms of /metrics only");
  if (const Steering* page = replica.steering()) {
    const Report& rank = page->rank();
    if (rank.has(kPlainScheduler)) {
      probe.notes.push_back("plain scheduler: " + page->identity().why);
    }
    if (rank.has(kRestored)) probe.notes.push_back("runs with the confirmed set of before");
    if (rank.steps > 0 && rank.schedule_ns > 0) {
      probe.notes.push_back(fmt::format(
          "the plugin's work is {:.1f} us a step, beside {:.1f} us of the scheduler itself",
          static_cast<double>(rank.page_ns) * 1e-3 / static_cast<double>(rank.steps),
          static_cast<double>(rank.schedule_ns) * 1e-3 / static_cast<double>(rank.steps)));
    }
  }
}

}  // namespace

Result<Probe> probe(std::string_view url, Clock& clock) {
  const std::size_t hash = url.find('#');
  ReplicaTarget target;
  target.url = url.substr(0, hash);
  while (target.url.ends_with('/')) target.url.pop_back();
  if (hash != std::string_view::npos) target.name = url.substr(hash + 1);
  World world = real_world();
  const Classes anything{{serving::Slo{.name = "all"}},
                         Target{.replicas = {target},
                                .prompt_tokens_max = {Target::kAnyPrompt},
                                .scraped = {.timeout = kTimeout}}};
  auto replica = Replica::attach({.target = target, .http = world.http, .clock = &clock}, anything);
  Probe out;
  if (!replica) {
    out.notes.push_back(replica.error().message);
    out.next = {fmt::format("curl -s {}/version   # does it answer from this machine?", target.url),
                "start vLLM, or give the address of its API server"};
    return out;
  }
  out.reachable = true;
  out.identity = (*replica)->identity();
  const EngineFacts facts = (*replica)->facts();
  for (const Offer& offer : offers(facts)) out.knobs.push_back(report_of(offer));
  add_request_knobs(out);
  const serving::Health health = (*replica)->health();
  out.notes.push_back(fmt::format("health: {}{}{}", to_string(health),
                                  (*replica)->why().empty() ? "" : ", ", (*replica)->why()));
  add_notes(**replica, out);
  if (facts.rank) {
    out.next = {"arqonhpo tune SCENARIO --mode observe", "arqonhpo tune SCENARIO --mode recommend"};
  } else {
    out.notes.push_back(facts.no_plugin);
    out.next = {"pip install arqonhpo-vllm   # into the environment that vLLM runs in",
                fmt::format("ARQONHPO_VLLM_NAME={} vllm serve MODEL --scheduler-cls "
                            "arqonhpo_vllm.Scheduler",
                            target.name)};
  }
  return out;
}

}  // namespace arqon::adapters::vllm
