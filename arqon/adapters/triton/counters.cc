#include "arqon/adapters/triton/counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

namespace arqon::adapters::triton {

bool Counters::fell_since(const Counters& earlier) const {
  return success < earlier.success || failure < earlier.failure ||
         inferences < earlier.inferences || executions < earlier.executions ||
         request_us < earlier.request_us || queue_us < earlier.queue_us;
}

Result<Counters> read_counters(const wire::Exposition& exposition, std::string_view model) {
  const std::vector<std::pair<std::string, std::string>> labels{{"model", std::string(model)}};
  std::array<std::pair<std::string_view, double>, 7> series{{
      {"nv_inference_request_success", 0},
      {"nv_inference_request_failure", 0},
      {"nv_inference_count", 0},
      {"nv_inference_exec_count", 0},
      {"nv_inference_request_duration_us", 0},
      {"nv_inference_queue_duration_us", 0},
      {"nv_inference_pending_request_count", 0},
  }};
  for (auto& [name, value] : series) {
    const bool there = std::any_of(exposition.series().begin(), exposition.series().end(),
                                   [&](const wire::Series& one) {
                                     const std::string* label = one.label("model");
                                     return one.name == name && label != nullptr && *label == model;
                                   });
    value = exposition.sum(name, labels);
    if (!there || !std::isfinite(value) || value < 0) {
      return fail(ErrorCode::kRefused,
                  fmt::format("metrics hold no {} of model \"{}\"", name, model));
    }
  }
  double backend = 0;
  for (const char* reason : {"BACKEND", "OTHER"}) {
    backend += exposition.sum("nv_inference_request_failure", {labels.front(), {"reason", reason}});
  }
  return Counters{.success = series[0].second,
                  .failure = series[1].second,
                  .backend = backend,
                  .inferences = series[2].second,
                  .executions = series[3].second,
                  .request_us = series[4].second,
                  .queue_us = series[5].second,
                  .pending = series[6].second};
}

std::vector<Quantile> read_summary(const wire::Exposition& exposition, std::string_view model) {
  std::vector<Quantile> summary;
  for (const wire::Series& one : exposition.series()) {
    const std::string* label = one.label("model");
    const std::string* quantile = one.label("quantile");
    if (one.name != "nv_inference_request_summary_us" || label == nullptr || *label != model ||
        quantile == nullptr) {
      continue;
    }
    double q = 0;
    const char* end = quantile->data() + quantile->size();
    const auto [stop, error] = std::from_chars(quantile->data(), end, q);
    if (error != std::errc() || stop != end || !(q > 0 && q < 1)) continue;
    summary.push_back({q, one.value / 1000});
  }
  std::sort(summary.begin(), summary.end(),
            [](const Quantile& a, const Quantile& b) { return a.q < b.q; });
  return summary;
}

std::optional<ShareBounds> share_above(const std::vector<Quantile>& summary, double limit_ms) {
  if (summary.empty()) return std::nullopt;
  ShareBounds bounds{.least = 0, .most = 1};
  for (const Quantile& quantile : summary) {
    if (!std::isfinite(quantile.ms)) return std::nullopt;
    if (quantile.ms <= limit_ms) {
      bounds.most = 1 - quantile.q;
    } else {
      bounds.least = std::max(bounds.least, 1 - quantile.q);
    }
  }
  // Estimates of a moving window may cross each other; the pessimistic one holds.
  bounds.least = std::min(bounds.least, bounds.most);
  return bounds;
}

}  // namespace arqon::adapters::triton
