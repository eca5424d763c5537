#include "arqon/stats/trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace arqon::stats {
namespace {

constexpr std::size_t kClassesMax = 32;
// Control requests before their quantile is a threshold.
constexpr std::uint64_t kThresholdMin = 200;
// A class with less of the canary's requests than this need not be shown to be no worse.
constexpr double kClassShareMin = 0.02;
// Parts of alpha.
constexpr double kErrorsPart = 0.6, kLatencyPart = 0.2, kRatioPart = 0.1;
constexpr double kOthersPart = 1 - kErrorsPart - kLatencyPart - kRatioPart;

// Cells of the control's latencies: 32 per octave, read off the bits; 2^-20 to 2^40.
constexpr int kCellShift = 47;
constexpr std::uint64_t kCellFirst = (1023 - 20) * 32, kCells = 60 * 32;

std::size_t cell_of(std::uint64_t latency_bits) {
  const std::uint64_t cell = latency_bits >> kCellShift;
  return cell < kCellFirst ? 0 : std::min(cell - kCellFirst, kCells - 1);
}

// Lower end of the cells above the quantile, as bits.
std::uint64_t threshold_of(const std::vector<std::uint32_t>& cells, std::uint64_t n, double q) {
  const auto above = static_cast<std::uint64_t>((1 - q) * static_cast<double>(n));
  std::uint64_t seen = 0;
  std::size_t i = cells.size();
  while (i > 1 && seen + cells[i - 1] <= above) seen += cells[--i];
  return (i + kCellFirst) << kCellShift;
}

// Score of one block of a ShareTest, of variance 1 if marks were independent.
std::optional<double> share_score(const Counts& control, const Counts& canary) {
  const auto marked = static_cast<double>(control.bad + canary.bad);
  if (marked == 0 || control.n == 0 || canary.n == 0) return std::nullopt;
  const double share =
      static_cast<double>(canary.n) / static_cast<double>(control.n + canary.n);
  return (static_cast<double>(canary.bad) - share * marked) /
         std::sqrt(marked * share * (1 - share));
}

Status in_range(bool ok, const char* name, double value, const char* range) {
  if (ok) return {};
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("trial: {} is {}; it must be {}", name, value, range));
}

Status check(const TrialOptions& o) {
  const auto inside = [](double x) { return x > 0 && x < 1; };
  if (Status s = in_range(o.classes >= 1 && o.classes <= kClassesMax, "classes",
                          static_cast<double>(o.classes), "1 to 32");
      !s) {
    return s;
  }
  const auto fraction = [&](double x, const char* name) {
    return in_range(inside(x), name, x, "above 0 and below 1");
  };
  if (Status s = fraction(o.share, "share"); !s) return s;
  if (Status s = in_range(o.margin >= 0 && o.margin <= 0.5, "margin", o.margin, "0 to 0.5"); !s) {
    return s;
  }
  if (Status s = fraction(o.error_limit, "error_limit"); !s) return s;
  if (Status s = fraction(o.quantile, "quantile"); !s) return s;
  if (Status s = fraction(o.alpha, "alpha"); !s) return s;
  if (Status s = fraction(o.alpha_promote, "alpha_promote"); !s) return s;
  return in_range(o.voids_max >= 0 && o.voids_max <= 1, "voids_max", o.voids_max, "0 to 1");
}

std::size_t controls_of(double share) {
  return static_cast<std::size_t>(
      std::clamp(std::round((1 - share) / share), 1.0, static_cast<double>(kControlsMax)));
}

}  // namespace

std::string_view to_string(Test test) {
  switch (test) {
    case Test::kNone: return "none";
    case Test::kErrors: return "errors";
    case Test::kLatency: return "latency";
    case Test::kBadShare: return "bad_share";
    case Test::kTail: return "tail";
    case Test::kSampleRatio: return "sample_ratio";
    case Test::kMix: return "mix";
    case Test::kNotWorse: return "not_worse";
    case Test::kVoids: return "voids";
  }
  return "none";
}

Result<Trial> Trial::create(const TrialOptions& options) {
  if (const Status ok = check(options); !ok) return tl::unexpected(ok.error());
  return Trial(options);
}

Trial::Trial(const TrialOptions& options)
    : options_(options),
      table_(options.margin, controls_of(options.share)),
      buffers_(2 * options.classes),
      classes_(options.classes),
      ratio_(options.share),
      error_test_(options.error_limit) {
  for (Class& c : classes_) c.control.resize(kCells);
}

// What one arm's buffer says by itself.
void Trial::count(Class& c, const Buffer& buffer, Arm arm) noexcept {
  ArmCounts& counts = c.arms[static_cast<std::size_t>(arm)];
  const std::uint64_t threshold = c.threshold != 0 ? c.threshold : ~std::uint64_t{0};
  std::uint64_t bad = 0, errors = 0, over = 0, silent = 0;
  for (std::size_t i = 0; i < buffer.size; ++i) {
    const std::uint64_t s = buffer.samples[i];
    bad += s & kBad;
    errors += (s & kError) / kError;
    silent += (s & kNoLatency) / kNoLatency;
    over += s >= threshold ? 1U : 0U;  // positive doubles are ordered as their bits are
  }
  const Counts seen{buffer.size, bad};
  counts.all += seen;
  counts.block += seen;
  counts.over += over;
  if (c.threshold != 0) {
    counts.readable += buffer.size - silent;
    counts.places += buffer.size - silent;
    if (over == 0) {
      counts.events.add(false);
    } else {
      for (std::size_t i = 0; i < buffer.size; ++i) {
        counts.events.add(buffer.samples[i] >= threshold);
      }
    }
  }
  if (arm == Arm::kCanary) {
    errors_ += {buffer.size, errors};
    if (errors == 0) return error_events_.add(false);
    for (std::size_t i = 0; i < buffer.size; ++i) {
      error_events_.add((buffer.samples[i] & kError) != 0);
    }
    return;
  }
  for (std::size_t i = 0; i < buffer.size; ++i) ++c.control[cell_of(buffer.samples[i])];
  c.latencies += buffer.size;
}

// Canary and control requests of one class and time, side by side.
void Trial::match(Class& c, const Buffer& control, const Buffer& canary) noexcept {
  const std::size_t pairs = std::min(control.size, canary.size);
  for (std::size_t i = 0; i < pairs; ++i) {
    if (((control.samples[i] | canary.samples[i]) & kNoLatency) != 0) continue;
    latency_.add(static_cast<std::int32_t>(control.samples[i] >> 46),
                 static_cast<std::int32_t>(canary.samples[i] >> 46));
  }
  const std::size_t k = table_.controls();
  const std::size_t groups = std::min(canary.size, control.size / k);
  for (std::size_t i = 0; i < groups; ++i) {
    std::size_t bad = 0;
    for (std::size_t j = 0; j < k; ++j) bad += control.samples[i * k + j] & kBad;
    c.margin.add((canary.samples[i] & kBad) != 0, bad, k);
  }
}

void Trial::flush(std::size_t class_index) noexcept {
  Class& c = classes_[class_index];
  Buffer& control = buffers_[2 * class_index];
  Buffer& canary = buffers_[2 * class_index + 1];
  count(c, control, Arm::kControl);
  count(c, canary, Arm::kCanary);
  match(c, control, canary);
  control.size = canary.size = 0;
}

void Trial::end_class_block(Class& c, const Counts& control, const Counts& canary) noexcept {
  // Mix: of all requests of the block, those of this class.
  if (classes_.size() > 1) {
    c.mix.add({control.n, c.arms[0].block.n}, {canary.n, c.arms[1].block.n});
  }
  c.margin.end_block();
  const Counts tail_control{c.arms[0].readable, c.arms[0].over};
  const Counts tail_canary{c.arms[1].readable, c.arms[1].over};
  tail_.add(tail_control, tail_canary);
  if (const auto score = share_score(tail_control, tail_canary)) tail_noise_.observe(*score);
  for (ArmCounts& arm : c.arms) {
    arm.block = {};
    arm.over = arm.readable = 0;
  }
  // The next block's threshold is known before it begins.
  if (c.latencies >= kThresholdMin) {
    c.threshold = threshold_of(c.control, c.latencies, options_.quantile);
  }
}

void Trial::end_block() noexcept {
  Counts control, canary;
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    flush(i);
    control += classes_[i].arms[0].block;
    canary += classes_[i].arms[1].block;
  }
  for (Class& c : classes_) end_class_block(c, control, canary);
  latency_.end_block();
}

Counts Trial::counts(Arm arm) const noexcept {
  Counts sum;
  for (const Class& c : classes_) sum += c.arms[static_cast<std::size_t>(arm)].all;
  return sum;
}

double Trial::tail_dispersion() const noexcept {
  double v = tail_noise_.value();
  for (const Class& c : classes_) {
    for (const ArmCounts& arm : c.arms) v = std::max(v, arm.events.dispersion(arm.places));
  }
  return v;
}

// Keeps the test that is furthest past its level, or closest to it.
void Trial::find_harm(Finding& finding) const noexcept {
  double past = -std::numeric_limits<double>::infinity();
  const auto weigh = [&](Test test, double log_e, double part, std::size_t class_index = 0) {
    const double level = -std::log(part * options_.alpha);
    if (log_e - level <= past) return;
    past = log_e - level;
    finding.test = test;
    finding.log_e = log_e;
    finding.class_index = class_index;
  };
  weigh(Test::kErrors, error_test_.log_e(errors_, error_events_.dispersion(errors_.n)),
        kErrorsPart);
  weigh(Test::kLatency, latency_.log_e_slower(), kLatencyPart);
  const Counts control = counts(Arm::kControl), canary = counts(Arm::kCanary);
  weigh(Test::kSampleRatio, ratio_.log_e(control.n, canary.n), kRatioPart);
  const auto classes = static_cast<double>(classes_.size());
  const double part = kOthersPart / (1 + classes * (classes_.size() > 1 ? 3 : 1));
  weigh(Test::kTail, tail_.log_e_more(tail_dispersion()), part);
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    const Class& c = classes_[i];
    weigh(Test::kBadShare, c.margin.log_e_worse(table_), part, i);
    if (classes_.size() == 1) break;
    weigh(Test::kMix, std::max(c.mix.log_e_more(), c.mix.log_e_fewer()), part, i);
  }
  if (past >= 0) finding.verdict = Verdict::kFail;
}

void Trial::find_pass(Finding& finding) const noexcept {
  const Counts canary = counts(Arm::kCanary);
  const double level = -std::log(options_.alpha_promote);
  const auto n = static_cast<double>(canary.n);
  double needed = std::max(0.0, static_cast<double>(options_.requests_min) - n);
  bool never = false;
  Finding least{.test = Test::kNotWorse, .log_e = std::numeric_limits<double>::infinity()};
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    const Class& c = classes_[i];
    if (static_cast<double>(c.arms[1].all.n) < kClassShareMin * n) continue;
    const double e = c.margin.log_e_not_worse(table_);
    if (e < least.log_e) least.log_e = e, least.class_index = i;
    if (e >= level) continue;
    never = never || e <= 0;
    if (e > 0) needed = std::max(needed, n * (level - e) / e);
  }
  finding.test = least.test;
  finding.class_index = least.class_index;
  finding.log_e = std::isfinite(least.log_e) ? least.log_e : 0;
  const double seen = n + static_cast<double>(counts(Arm::kControl).n + voids_);
  if (voids_ > 0 && static_cast<double>(voids_) > options_.voids_max * seen) {
    finding.test = Test::kVoids;
    return;
  }
  if (never || n == 0) return;
  finding.requests_needed = static_cast<std::uint64_t>(std::ceil(needed));
  if (needed == 0 && least.log_e >= level) finding.verdict = Verdict::kPass;
}

Finding Trial::judge() const noexcept {
  Finding finding;
  finding.latency_ratio = latency_.ratio();
  find_harm(finding);
  if (finding.verdict != Verdict::kFail) find_pass(finding);
  return finding;
}

}  // namespace arqon::stats
