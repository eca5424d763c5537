// The table of engines of arqonhpo_doctor: one that answers at "near:" and nowhere else.
#include <algorithm>

#include "arqon/adapters/adapter.h"

namespace arqon::adapters {
namespace {

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest&) {
  return fail(ErrorCode::kUnavailable, "for looking only");
}

Result<Probe> probe(std::string_view url, Clock&) {
  Probe out;
  if (url.starts_with("broken:")) return fail(ErrorCode::kInvalidConfig, "no such place");
  if (!url.starts_with("near:")) {
    out.notes = {"connection refused"};
    out.next = {"start it: near --serve"};
    return out;
  }
  out.reachable = true;
  out.identity = {"near 1.2", "m", "a core"};
  out.knobs = {
      {"max_tokens", "", "absent", "", "the model's own affair"},
      {"batch_size", "max_num_active_reqs", "live", "32", "1 .. 32, what it was started with"},
      {"kv_cache_size", "gpu_memory_utilization", "restart", "0.9", "fixed at start"}};
  out.notes = {"3 running, 0 waiting"};
  out.next = {"arqonhpo tune SCENARIO --mode observe"};
  return out;
}

Result<Probe> probe_any(std::string_view, Clock&) {
  Probe out;
  out.reachable = true;
  return out;
}

}  // namespace

const std::vector<Adapter>& registry() {
  static const std::vector<Adapter> adapters{
      {"near", "an engine for tests", attach, probe},
      {"anything", "says yes to every place that is none", attach, probe_any}};
  return adapters;
}

const Adapter* find(std::string_view name) {
  const std::vector<Adapter>& all = registry();
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const Adapter& adapter) { return adapter.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace arqon::adapters
