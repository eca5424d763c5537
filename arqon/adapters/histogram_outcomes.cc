#include "arqon/adapters/histogram_outcomes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace arqon::adapters {
namespace {

using serving::Limit;

constexpr double kRounding = 1e-9;  // relative, between ms of documents and s of engines
constexpr double kCountMax = 1e15;  // whole numbers are exact below

bool listed(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The first name that is there, or "".
std::string present(const wire::Exposition& scrape, const std::vector<std::string>& names,
                    std::string_view suffix = "") {
  for (const std::string& name : names) {
    if (scrape.has(name + std::string(suffix))) return name;
  }
  return "";
}

wire::Buckets histogram(const wire::Exposition& scrape, const std::vector<std::string>& names) {
  const std::string name = present(scrape, names, "_bucket");
  return name.empty() ? wire::Buckets{} : scrape.buckets(name);
}

double total(const wire::Exposition& scrape, const std::vector<std::string>& names) {
  return scrape.sum(present(scrape, names));
}

bool countable(double value) { return value >= 0 && value <= kCountMax; }

bool sensible(const wire::Buckets& buckets) {
  return std::all_of(buckets.counts.begin(), buckets.counts.end(), countable) &&
         std::is_sorted(buckets.counts.begin(), buckets.counts.end());
}

double all_of(const wire::Buckets& buckets) {
  return buckets.counts.empty() ? 0 : buckets.counts.back();
}

double at_most(const wire::Buckets& buckets, double bound_s) {
  const auto it = std::find(buckets.bounds.begin(), buckets.bounds.end(), bound_s);
  return it == buckets.bounds.end()
             ? 0
             : buckets.counts[static_cast<std::size_t>(it - buckets.bounds.begin())];
}

// Requests that broke the limit: at least `sure`, at most sure + unsure.
struct Broken {
  double sure = 0, unsure = 0;
};

Broken broken(double limit_ms, const wire::Buckets& buckets) {
  if (limit_ms == serving::kNoLimit || buckets.bounds.empty()) return {};
  const LimitPlace place = place_of(limit_ms, buckets);
  const double sure = all_of(buckets) - at_most(buckets, place.above_s);
  return {sure, all_of(buckets) - at_most(buckets, place.below_s) - sure};
}

Broken since(double limit_ms, const wire::Buckets& now, const wire::Buckets& before) {
  const Broken a = broken(limit_ms, now), b = broken(limit_ms, before);
  return {std::max(0.0, a.sure - b.sure), std::max(0.0, a.unsure - b.unsure)};
}

std::uint64_t whole(double count) { return static_cast<std::uint64_t>(std::llround(count)); }

// A value is known by its bucket alone; it is recorded as the bucket's upper end, so that a
// reported quantile errs on the slow side.
void record(const wire::Buckets& now, const wire::Buckets& before, stats::Histogram& into) {
  double below_now = 0, below_before = 0, bound_ms = 0;
  for (std::size_t i = 0; i < now.bounds.size(); ++i) {
    const double earlier = at_most(before, now.bounds[i]);
    const double more = (now.counts[i] - below_now) - (earlier - below_before);
    below_now = now.counts[i];
    below_before = earlier;
    if (std::isfinite(now.bounds[i])) bound_ms = now.bounds[i] * 1e3;
    if (more >= 1) into.record(bound_ms, whole(more));
  }
}

double gauge(const wire::Exposition& scrape, const std::vector<std::string>& names,
             const std::string& rank_label, bool mean) {
  const std::string name = present(scrape, names);
  std::map<std::string, double> by_rank;
  for (const wire::Series& series : scrape.series()) {
    if (series.name != name || !std::isfinite(series.value)) continue;
    const std::string* rank = rank_label.empty() ? nullptr : series.label(rank_label);
    double& value = by_rank[rank == nullptr ? "" : *rank];
    value = std::max(value, series.value);
  }
  double sum = 0;
  for (const auto& [rank, value] : by_rank) sum += value;
  return mean && !by_rank.empty() ? sum / static_cast<double>(by_rank.size()) : sum;
}

struct LimitCheck {
  std::string_view key;
  bool set;
  bool judged;
  std::string_view why;
};

}  // namespace

LimitPlace place_of(double limit_ms, const wire::Buckets& buckets) {
  LimitPlace place{0, std::numeric_limits<double>::infinity()};
  const double limit_s = limit_ms / 1e3;
  for (const double bound : buckets.bounds) {
    if (std::abs(bound - limit_s) <= kRounding * limit_s) return {bound, bound};
    if (bound < limit_s) place.below_s = bound;
    if (bound > limit_s) place.above_s = std::min(place.above_s, bound);
  }
  return place;
}

HistogramOutcomes::HistogramOutcomes(serving::Slo slo, HistogramSources sources,
                                     HistogramRules rules)
    : slo_(std::move(slo)), sources_(std::move(sources)), rules_(std::move(rules)) {}

Result<HistogramOutcomes> HistogramOutcomes::create(const std::vector<serving::Slo>& classes,
                                                    HistogramSources sources,
                                                    HistogramRules rules) {
  if (classes.size() != 1) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{} classes of requests: this engine's histograms do not tell classes "
                            "apart; keep one",
                            classes.size()));
  }
  serving::Slo slo = classes.front();
  const std::string_view none = "this engine has no such histogram, one sample per request";
  const LimitCheck checks[] = {
      {"ttft_ms", slo.ttft_ms != serving::kNoLimit || slo.ttft_ms_per_prompt_token != 0,
       !sources.ttft.empty() && slo.ttft_ms_per_prompt_token == 0,
       sources.ttft.empty() ? none : "a limit that grows with the prompt needs single requests"},
      {"tpot_ms", slo.tpot_ms != serving::kNoLimit, !sources.tpot.empty(), none},
      {"max_gap_ms", slo.max_gap_ms != serving::kNoLimit, false, none},
      {"e2e_ms", slo.e2e_ms != serving::kNoLimit, !sources.e2e.empty(), none}};
  std::string errors;
  for (const LimitCheck& check : checks) {
    if (!check.set || check.judged || listed(rules.not_judged, check.key)) continue;
    errors += fmt::format(
        "{}class \"{}\": {} cannot be judged: {}; take the limit out, or say "
        "target.not_judged [\"{}\"] to go on without it",
        errors.empty() ? "" : "\n", slo.name, check.key, check.why, check.key);
  }
  if (!errors.empty()) return fail(ErrorCode::kInvalidConfig, errors);
  const auto left_out = [&](std::string_view key) { return listed(rules.not_judged, key); };
  if (left_out("ttft_ms")) slo.ttft_ms = serving::kNoLimit;
  if (left_out("tpot_ms")) slo.tpot_ms = serving::kNoLimit;
  if (left_out("e2e_ms")) slo.e2e_ms = serving::kNoLimit;
  return HistogramOutcomes(std::move(slo), std::move(sources), std::move(rules));
}

std::optional<HistogramOutcomes::Totals> HistogramOutcomes::totals(
    const wire::Exposition& scrape) const {
  const bool ours =
      std::any_of(scrape.series().begin(), scrape.series().end(), [&](const wire::Series& series) {
        return std::any_of(sources_.prefixes.begin(), sources_.prefixes.end(),
                           [&](const std::string& p) { return series.name.starts_with(p); });
      });
  if (!ours) return std::nullopt;
  Totals out{.ttft = histogram(scrape, sources_.ttft),
             .tpot = histogram(scrape, sources_.tpot),
             .e2e = histogram(scrape, sources_.e2e),
             .prompt_tokens = total(scrape, sources_.prompt_tokens),
             .output_tokens = total(scrape, sources_.output_tokens),
             .started = total(scrape, sources_.started)};
  for (const std::string& name : sources_.failed) out.failed += scrape.sum(name);
  const bool good = sensible(out.ttft) && sensible(out.tpot) && sensible(out.e2e) &&
                    countable(out.failed) && countable(out.prompt_tokens) &&
                    countable(out.output_tokens) && std::isfinite(out.started);
  return good ? std::optional(std::move(out)) : std::nullopt;
}

void HistogramOutcomes::begin_again() {
  last_ = Totals{};
  tokenless_ = 0;
  open_late_ = 0;
  if (expecting_restart_) return;
  ++epoch_;
  counters_ = {};
  unsure_ = ended_ = 0;
}

bool HistogramOutcomes::update(const wire::Exposition& scrape) {
  std::optional<Totals> now = totals(scrape);
  if (!now) {
    why_ = fmt::format("the metrics make no sense, or none begins with {}",
                       fmt::join(sources_.prefixes, " or "));
    return false;
  }
  running_ = gauge(scrape, sources_.running, sources_.rank_label, false);
  waiting_ = gauge(scrape, sources_.waiting, sources_.rank_label, false);
  kv_use_ = gauge(scrape, sources_.kv_use, sources_.rank_label, true);
  if (!last_) {
    // Requests that ended without a token before we came are not ours to count.
    tokenless_ = whole(std::max(0.0, all_of(now->e2e) - all_of(now->ttft)));
    last_ = std::move(now);
    why_.clear();
    return true;
  }
  const bool fell = all_of(now->e2e) < all_of(last_->e2e) ||
                    all_of(now->ttft) < all_of(last_->ttft) || now->failed < last_->failed ||
                    now->output_tokens < last_->output_tokens;
  if (fell || now->started != last_->started) begin_again();
  expecting_restart_ = false;
  const std::uint64_t unsure_before = unsure_;
  count(*now);
  last_ = std::move(now);
  const std::uint64_t more = unsure_ - unsure_before;
  why_ = more == 0 || rules_.next_bound
             ? ""
             : fmt::format(
                   "{} requests may or may not have met a limit: it lies inside a bucket "
                   "of the engine's histogram",
                   more);
  return why_.empty();
}

void HistogramOutcomes::count(const Totals& now) {
  const double finished = all_of(now.e2e) - all_of(last_->e2e);
  const double failed = now.failed - last_->failed;
  const double tokens = now.output_tokens - last_->output_tokens;
  // Every answer has a first token, and its record comes no later than the end's.
  double tokenless = 0;
  if (!sources_.ttft.empty()) {
    const auto ever = whole(std::max(0.0, all_of(now.e2e) - all_of(now.ttft)));
    tokenless = static_cast<double>(ever - std::min(ever, tokenless_));
    tokenless_ = std::max(tokenless_, ever);
  }
  count_bad(now, tokenless);
  counters_.bad_by[static_cast<std::size_t>(Limit::kRejected)] += whole(failed + tokenless);
  counters_.bad += whole(failed + tokenless);
  ended_ += whole(finished + failed);
  // Some that are bad at their first token have not ended: good waits until they have.
  const std::uint64_t good = ended_ - std::min(ended_, counters_.bad);
  const std::uint64_t more_good = good - std::min(good, counters_.good);
  counters_.good += more_good;
  counters_.arrived =
      std::max({counters_.arrived, counters_.good + counters_.bad,
                ended_ + whole(std::max(0.0, running_)) + whole(std::max(0.0, waiting_))});
  counters_.prompt_tokens += whole(std::max(0.0, now.prompt_tokens - last_->prompt_tokens));
  counters_.output_tokens += whole(tokens);
  // Nobody tells whose tokens they are: good requests are taken to be as long as the others.
  if (finished >= 1) {
    const double share = std::min(1.0, static_cast<double>(more_good) / finished);
    counters_.good_tokens += whole(tokens * share);
  }
  record(now.ttft, last_->ttft, counters_.ttft_ms);
  record(now.tpot, last_->tpot, counters_.tpot_ms);
}

void HistogramOutcomes::count_bad(const Totals& now, double tokenless) {
  const Broken ttft = since(slo_.ttft_ms, now.ttft, last_->ttft);
  const Broken tpot = since(slo_.tpot_ms, now.tpot, last_->tpot);
  const Broken e2e = since(slo_.e2e_ms, now.e2e, last_->e2e);
  // The same request may have broken several limits: it counts once. At the end, the limit that
  // more requests broke covers the others as far as we know.
  const double at_end = std::max(tpot.sure, e2e.sure);
  // Those that end late may be those that began late, now or earlier and still running.
  const double began_late = open_late_ + ttft.sure;
  const double same = std::min(sources_.ttft_at_end ? ttft.sure : began_late, at_end);
  // A request without a token that is also late is one bad request.
  const double only_end = std::max(0.0, at_end - same - tokenless);
  open_late_ =
      sources_.ttft_at_end ? 0 : std::min(began_late - same, std::max(0.0, running_ + waiting_));
  const Limit end = e2e.sure >= tpot.sure ? Limit::kE2e : Limit::kTpot;
  counters_.bad_by[static_cast<std::size_t>(Limit::kTtft)] += whole(ttft.sure);
  counters_.bad_by[static_cast<std::size_t>(end)] += whole(only_end);
  counters_.bad += whole(ttft.sure) + whole(only_end);
  unsure_ += whole(ttft.unsure + tpot.unsure + e2e.unsure);
}

std::vector<std::string> HistogramOutcomes::notes(const wire::Exposition& scrape) const {
  std::vector<std::string> out;
  const auto look = [&](std::string_view key, double limit_ms,
                        const std::vector<std::string>& names) {
    const wire::Buckets buckets = histogram(scrape, names);
    if (limit_ms == serving::kNoLimit || buckets.bounds.empty()) return;
    const LimitPlace place = place_of(limit_ms, buckets);
    if (place.exact()) return;
    out.push_back(
        fmt::format("{} {} lies inside the bucket ({}, {}] ms of {}: {}{}", key, limit_ms,
                    place.below_s * 1e3, place.above_s * 1e3, present(scrape, names, "_bucket"),
                    rules_.next_bound
                        ? "requests are bad from the bucket's end on"
                        : "no verdict while requests fall there; take a bound as the limit, or say "
                          "target.limit_inside_bucket \"next_bound\"",
                    sources_.bucket_help.empty() ? "" : "; " + sources_.bucket_help));
  };
  look("ttft_ms", slo_.ttft_ms, sources_.ttft);
  look("tpot_ms", slo_.tpot_ms, sources_.tpot);
  look("e2e_ms", slo_.e2e_ms, sources_.e2e);
  return out;
}

}  // namespace arqon::adapters
