// Target options of the adapters over a scrape (scraped_engine.h).
#include <algorithm>

#include "arqon/adapters/scraped_engine.h"

namespace arqon::adapters {

const std::vector<std::string>& scraped_keys() {
  static const std::vector<std::string> keys = {"timeout_s", "stuck_s", "dollars_per_hour",
                                                "not_judged", "limit_inside_bucket"};
  return keys;
}

namespace {

std::vector<std::string> read_not_judged(TargetReader& reader) {
  static const std::vector<std::string> limits = {"ttft_ms", "tpot_ms", "max_gap_ms", "e2e_ms"};
  const wire::Value* list = reader.find("not_judged");
  if (list == nullptr) return {};
  std::vector<std::string> out;
  const wire::Array* array = list->as_array();
  for (const wire::Value& entry : array == nullptr ? wire::Array{} : *array) {
    const std::string* name = entry.as_string();
    if (name != nullptr && std::find(limits.begin(), limits.end(), *name) != limits.end()) {
      out.push_back(*name);
    }
  }
  if (array == nullptr || out.size() != array->size()) {
    reader.complain(*list, "not_judged",
                    "a list of limits to leave out: ttft_ms, tpot_ms, max_gap_ms, e2e_ms");
  }
  return out;
}

}  // namespace

ScrapedTarget read_scraped(TargetReader& reader) {
  ScrapedTarget out;
  out.timeout = from_seconds(reader.number("timeout_s", 2, 0.05, 60));
  out.options.stuck = from_seconds(reader.number("stuck_s", 10, 0.5, 3600));
  out.options.dollars_per_hour = reader.number("dollars_per_hour", 0, 0, 1e6);
  out.rules.not_judged = read_not_judged(reader);
  const std::string inside = reader.text("limit_inside_bucket", "refuse");
  out.rules.next_bound = inside == "next_bound";
  if (inside != "refuse" && inside != "next_bound") {
    reader.complain(*reader.find("limit_inside_bucket"), "limit_inside_bucket",
                    "\"refuse\" (no verdict) or \"next_bound\" (judge at the bucket's end)");
  }
  return out;
}

}  // namespace arqon::adapters
