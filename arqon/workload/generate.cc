#include "arqon/workload/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/base/rng.h"
#include "arqon/workload/acceptance_rows.h"
#include "arqon/workload/arrivals.h"
#include "arqon/workload/envelope.h"
#include "arqon/workload/lengths.h"
#include "arqon/workload/servegen.h"
#include "arqon/workload/sessions.h"
#include "arqon/workload/trace_reader.h"

namespace arqon::workload {
namespace {

constexpr double kClosedLoopRequestsMax = 10e6;
constexpr double kRowsWalkedMax = 500e6;
constexpr Duration kPauseMin = std::chrono::milliseconds(1);
// Timestamps on a grid this coarse or coarser are spread inside their cells.
constexpr Duration kGridMin = std::chrono::milliseconds(100);

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

struct MixPart {
  const Profile* profile = nullptr;
  const OwnLengths* own = nullptr;  // instead of the profile
  std::uint16_t request_class = 0;
};

// What holds from at_s on.
struct Phase {
  double at_s = 0;
  std::vector<MixPart> mix;  // empty: lengths and class stay the source's own
  std::vector<double> shares;
  double acceptance = 0;
};

Result<std::uint16_t> class_index(const std::string& name, const GenerateOptions& options) {
  const auto found = std::find(options.classes.begin(), options.classes.end(), name);
  if (found == options.classes.end()) {
    return invalid(fmt::format("\"{}\" is not a class of this scenario; classes: {}", name,
                               joined(options.classes)));
  }
  return static_cast<std::uint16_t>(found - options.classes.begin());
}

Status set_mix(Phase& phase, const std::vector<MixShare>& mix, const Spec& spec,
               const GenerateOptions& options) {
  phase.mix.clear();
  phase.shares.clear();
  double sum = 0;
  for (const MixShare& share : mix) {
    const Profile* profile = find_profile(share.name);
    const auto own = std::find_if(spec.lengths.begin(), spec.lengths.end(),
                                  [&](const OwnLengths& l) { return l.name == share.name; });
    const bool has_own = own != spec.lengths.end();
    if (profile == nullptr && !has_own) {
      std::string known;
      for (const std::string_view n : profile_names())
        known += (known.empty() ? "" : ", ") + std::string(n);
      return invalid(fmt::format("unknown mix \"{}\"; known: {}", share.name, known));
    }
    if (!(share.share >= 0) || !std::isfinite(share.share)) {
      return invalid(fmt::format("share of \"{}\" must be >= 0 (got {})", share.name, share.share));
    }
    const Result<std::uint16_t> index = class_index(share.name, options);
    if (!index) return tl::unexpected<Error>(index.error());
    phase.mix.push_back({profile, has_own ? &*own : nullptr, *index});
    phase.shares.push_back(share.share);
    sum += share.share;
  }
  if (!(sum > 0)) return invalid("the shares of a mix must have a positive sum");
  return {};
}

Result<std::vector<Phase>> phases_of(const Spec& spec, const GenerateOptions& options) {
  std::vector<Phase> out = {{.at_s = 0, .acceptance = spec.acceptance.conditional}};
  if (const auto* generator = std::get_if<GeneratorSource>(&spec.source)) {
    // A generator needs lengths from the start: the profile its arrivals were fitted with.
    const bool named = !spec.segments.empty() && spec.segments.front().at_s <= 0 &&
                       !spec.segments.front().mix.empty();
    const std::string own = generator->name == "azure-code" ? "code" : "chat";
    if (!named) {
      if (Status s = set_mix(out[0], {{own, 1}}, spec, options); !s) {
        return tl::unexpected<Error>(s.error());
      }
    }
  }
  for (const Segment& segment : spec.segments) {
    if (!std::isfinite(segment.at_s) || segment.at_s < out.back().at_s) {
      return invalid("segments must be sorted by at_s, none before 0");
    }
    if (segment.rate && !(*segment.rate >= 0 && std::isfinite(*segment.rate))) {
      return invalid(fmt::format("a segment's rate must be >= 0 (got {})", *segment.rate));
    }
    Phase phase = out.back();
    phase.at_s = segment.at_s;
    if (segment.acceptance) phase.acceptance = *segment.acceptance;
    if (!segment.mix.empty()) {
      if (Status s = set_mix(phase, segment.mix, spec, options); !s) {
        return tl::unexpected<Error>(s.error());
      }
    }
    if (segment.at_s <= 0) out.clear();
    out.push_back(std::move(phase));
  }
  for (const Phase& phase : out) {
    if (!(phase.acceptance >= 0 && phase.acceptance <= 1)) {
      return invalid(fmt::format("acceptance must lie in [0, 1] (got {})", phase.acceptance));
    }
  }
  return out;
}

// Draws what a request is once it is known when it comes; each draw is a function of its number.
class Drawer {
 public:
  Drawer(const Spec& spec, std::vector<Phase> phases, const Rng& rng)
      : phases_(std::move(phases)),
        mix_(rng.stream("mix")),
        lengths_(rng.stream("lengths")),
        acceptance_(rng.stream("acceptance")),
        acceptance_row_(static_cast<std::uint8_t>(find_acceptance_row(spec.acceptance.row))),
        sigma_(spec.acceptance.quality_sigma),
        backfill_(spec.priority == "backfill"),
        retries_(static_cast<std::uint8_t>(spec.retries)) {
    if (spec.sessions) sessions_.emplace(*spec.sessions, rng.stream("sessions"));
  }

  // Arrivals must rise. `request` brings the source's own lengths and class.
  void complete(Request& request, std::uint64_t index) {
    const double t = to_seconds(request.arrival);
    while (phase_ + 1 < phases_.size() && phases_[phase_ + 1].at_s <= t) ++phase_;
    const Phase& phase = phases_[phase_];
    if (!phase.mix.empty()) {
      const MixPart& part = phase.mix[pick(phase.shares, index)];
      const Lengths lengths = part.own != nullptr ? draw_lengths(*part.own, lengths_, index)
                                                  : draw_lengths(*part.profile, lengths_, index);
      request.request_class = part.request_class;
      request.prompt_tokens = lengths.prompt_tokens;
      request.output_tokens = lengths.output_tokens;
    }
    request.acceptance = accepted(phase.acceptance, index);
    request.acceptance_row = acceptance_row_;
    request.backfill = backfill_;
    request.retries = retries_;
    if (sessions_) sessions_->join(request, index);
  }

 private:
  static double unit(const Rng& rng, std::uint64_t index) {
    return (static_cast<double>(rng.at(index) >> 11) + 0.5) * 0x1.0p-53;
  }
  std::size_t pick(const std::vector<double>& shares, std::uint64_t index) const {
    if (shares.size() == 1) return 0;
    double left = unit(mix_, index) * std::accumulate(shares.begin(), shares.end(), 0.0);
    std::size_t last = 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (shares[i] <= 0) continue;
      last = i;
      left -= shares[i];
      if (left < 0) return i;
    }
    return last;
  }
  // Quality of a request: normal on the logit of the conditional acceptance.
  float accepted(double conditional, std::uint64_t index) const {
    if (conditional <= 0 || conditional >= 1 || sigma_ <= 0) return static_cast<float>(conditional);
    const double logit = std::log(conditional / (1 - conditional)) +
                         sigma_ * normal_quantile(unit(acceptance_, index));
    return static_cast<float>(1 / (1 + std::exp(-logit)));
  }

  std::vector<Phase> phases_;
  Rng mix_, lengths_, acceptance_;
  std::uint8_t acceptance_row_;
  double sigma_;
  bool backfill_;
  std::uint8_t retries_;
  std::optional<SessionBook> sessions_;
  std::size_t phase_ = 0;
};

Result<Trace> from_generator(const Spec& spec, const GeneratorSource& source,
                             const GenerateOptions& options, Drawer drawer, const Rng& rng) {
  const auto rates = rate_envelope(spec, options.duration_s, rng.stream("spikes"));
  if (!rates) return tl::unexpected<Error>(rates.error());
  auto arrivals = generate_arrivals(source, *rates, options.duration_s, rng.stream("arrivals"));
  if (!arrivals) return tl::unexpected<Error>(arrivals.error());
  Trace out;
  out.reserve(arrivals->size());
  for (const Duration at : *arrivals) {
    Request request{.arrival = at};
    drawer.complete(request, out.size());
    out.push_back(request);
  }
  return out;
}

// Step of the grid all timestamps lie on, 0 when it is fine.
Duration coarse_grid(const TraceRows& rows) {
  std::int64_t step = 0;
  for (const TraceRow& row : rows) step = std::gcd(step, row.at.count());
  return Duration(step) >= kGridMin ? Duration(step) : Duration{};
}

// Rows spread inside the cells of a coarse grid and sorted again.
void jitter(TraceRows& rows, Duration grid, const Rng& rng) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double part = static_cast<double>(rng.at(i) >> 11) * 0x1.0p-53;
    rows[i].at += Duration(static_cast<std::int64_t>(part * static_cast<double>(grid.count())));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const TraceRow& a, const TraceRow& b) { return a.at < b.at; });
}

// Time at which one pass of the trace ends and the next begins: a mean gap after its last row.
Duration pass_length(const TraceRows& rows, Duration grid) {
  const Duration span = rows.back().at + grid;
  if (span == Duration{}) return std::chrono::seconds(1);  // all rows at one moment
  const auto gaps = static_cast<std::int64_t>(std::max<std::size_t>(1, rows.size() - 1));
  return span + std::max<Duration>(kPauseMin, span / gaps);
}

double factor_max(const std::vector<RatePoint>& rates) {
  double most = 1;
  for (const RatePoint& point : rates) most = std::max(most, point.factor);
  return most;
}

// A trace that begins again repeats its shape, not its texts.
std::shared_ptr<const PromptHashes> hashes_of_turn(std::shared_ptr<const PromptHashes> hashes,
                                                   std::uint64_t turn) {
  constexpr int kIdBits = 53;
  if (hashes == nullptr || turn == 0) return hashes;
  auto out = std::make_shared<PromptHashes>(*hashes);
  for (std::uint64_t& id : out->chain) id += turn << kIdBits;
  return out;
}

// Walks the recorded times at the speed of the present factor: a factor above 1 compresses time,
// one below 1 keeps the clock and thins. A trace that ends begins again, thinned afresh.
Result<Trace> replay(const Spec& spec, double scale, const TraceRows& rows, Duration pass,
                     const GenerateOptions& options, Drawer drawer, const Rng& rng) {
  const auto envelope = rate_envelope(spec, options.duration_s, rng.stream("spikes"));
  if (!envelope) return tl::unexpected<Error>(envelope.error());
  const std::vector<RatePoint>& rates = *envelope;
  const double speed_max = std::max(1.0, scale * factor_max(rates));
  if (static_cast<double>(rows.size()) / to_seconds(pass) * speed_max * options.duration_s >
      kRowsWalkedMax) {
    return invalid("the trace would be looped over more than 500 million rows");
  }
  const Rng thin = rng.stream("thin");
  Trace out;
  double t = 0, recorded = 0;  // seconds: of the run, of the trace since the first pass began
  std::size_t point = 0;
  for (std::uint64_t turn = 0;; ++turn) {
    const Rng keep = thin.stream(turn);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double due = static_cast<double>(turn) * to_seconds(pass) + to_seconds(rows[i].at);
      while (true) {
        const double speed = std::max(1.0, scale * rates[point].factor);
        const double reach = t + (due - recorded) / speed;
        if (point + 1 >= rates.size() || reach < rates[point + 1].at_s) {
          t = reach;
          break;
        }
        recorded += (rates[point + 1].at_s - t) * speed;
        t = rates[++point].at_s;
      }
      recorded = due;
      if (t >= options.duration_s) return out;
      const double chance = std::min(1.0, scale * rates[point].factor);
      if (static_cast<double>(keep.at(i) >> 11) * 0x1.0p-53 >= chance) continue;
      Request request{.arrival = from_seconds(t),
                      .prompt_tokens = rows[i].prompt_tokens,
                      .output_tokens = rows[i].output_tokens,
                      .request_class = static_cast<std::uint16_t>(rows[i].request_class),
                      .hashes = hashes_of_turn(rows[i].hashes, turn)};
      drawer.complete(request, out.size());
      out.push_back(request);
    }
  }
}

Result<Trace> from_trace(const Spec& spec, const TraceSource& source,
                         const GenerateOptions& options, Drawer drawer, const Rng& rng) {
  if (!(source.scale > 0 && source.scale <= 1e4)) {
    return invalid(fmt::format("scale must lie in (0, 1e4] (got {})", source.scale));
  }
  const std::filesystem::path path = options.folder / source.path;  // an absolute one stays
  const double span_s = options.duration_s * std::max(1.0, source.scale);
  Result<TraceRows> rows = source.format == "servegen"
                               ? read_servegen(path, span_s, rng.stream("servegen"))
                               : read_trace(source.format, path, options.classes);
  if (!rows) return tl::unexpected<Error>(rows.error());
  const bool classed = rows->front().request_class >= 0;
  const bool remixed = !spec.segments.empty() && spec.segments.front().at_s <= 0 &&
                       !spec.segments.front().mix.empty();
  if (!classed) {
    std::string name = source.request_class;
    if (name.empty() && (options.classes.size() == 1 || remixed)) name = options.classes.front();
    const Result<std::uint16_t> index = class_index(name, options);
    if (!index) return tl::unexpected<Error>(index.error().with_context("class of the trace"));
    for (TraceRow& row : *rows) row.request_class = *index;
  }
  const Duration grid = coarse_grid(*rows);
  const Duration pass = pass_length(*rows, grid);
  if (grid > Duration{}) jitter(*rows, grid, rng.stream("jitter"));
  return replay(spec, source.scale, *rows, pass, options, std::move(drawer), rng);
}

Result<Trace> from_closed_loop(const ClosedLoopSource& source, const GenerateOptions& options,
                               Drawer drawer, const Rng& rng) {
  const double count = double{1} * source.concurrency * source.requests_per_slot;
  if (source.concurrency < 1 || source.requests_per_slot < 1 || count > kClosedLoopRequestsMax ||
      !(source.input_tokens >= 1 && source.input_tokens <= 1e7) ||
      !(source.output_tokens >= 1 && source.output_tokens <= 1e7) ||
      !(source.length_jitter >= 0 && source.length_jitter < 1) || options.classes.empty()) {
    return invalid(
        "closed_loop needs concurrency, requests_per_slot, input_tokens and "
        "output_tokens >= 1 (at most 10 million requests) and length_jitter in [0, 1)");
  }
  Rng lengths = rng.stream("lengths");
  const auto draw = [&](double nominal) {
    const double factor = 1 - source.length_jitter * lengths.uniform();
    return static_cast<std::uint32_t>(std::max<long>(1, std::lround(nominal * factor)));
  };
  Trace out;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    Request request{.prompt_tokens = draw(source.input_tokens),
                    .output_tokens = draw(source.output_tokens)};
    drawer.complete(request, i);
    out.push_back(request);
  }
  return out;
}

Result<Trace> generate_one(const Spec& spec, const GenerateOptions& options, const Rng& rng) {
  if (spec.priority != "online" && spec.priority != "backfill") {
    return invalid(fmt::format("unknown priority \"{}\"; known: online, backfill", spec.priority));
  }
  if (spec.retries < 0 || spec.retries > 16) {
    return invalid(fmt::format("retries must lie in [0, 16] (got {})", spec.retries));
  }
  if (spec.sessions) {
    if (Status s = check_sessions(*spec.sessions); !s) return tl::unexpected<Error>(s.error());
  }
  Result<std::vector<Phase>> phases = phases_of(spec, options);
  if (!phases) return tl::unexpected<Error>(phases.error());
  Drawer drawer(spec, std::move(*phases), rng);
  if (const auto* generator = std::get_if<GeneratorSource>(&spec.source)) {
    return from_generator(spec, *generator, options, std::move(drawer), rng);
  }
  if (const auto* trace = std::get_if<TraceSource>(&spec.source)) {
    return from_trace(spec, *trace, options, std::move(drawer), rng);
  }
  return from_closed_loop(std::get<ClosedLoopSource>(spec.source), options, std::move(drawer), rng);
}

}  // namespace

int closed_loop_concurrency(const std::vector<Spec>& workloads) {
  if (workloads.size() != 1) return 0;
  const auto* source = std::get_if<ClosedLoopSource>(&workloads.front().source);
  return source == nullptr ? 0 : source->concurrency;
}

Result<Trace> generate(const std::vector<Spec>& workloads, const GenerateOptions& options) {
  if (!(options.duration_s > 0 && options.duration_s <= 60 * 86400.0)) {
    return invalid(fmt::format("duration_s must lie in (0, 60 days] (got {})", options.duration_s));
  }
  const Rng root = Rng(options.seed).stream("workload");
  Trace out;
  for (std::size_t w = 0; w < workloads.size(); ++w) {
    if (workloads.size() > 1 && std::holds_alternative<ClosedLoopSource>(workloads[w].source)) {
      return invalid("a closed_loop workload cannot run beside others");
    }
    Result<Trace> part = generate_one(workloads[w], options, root.stream(w));
    if (!part) {
      return tl::unexpected<Error>(part.error().with_context(fmt::format("workload {}", w)));
    }
    if (out.empty()) {
      out = std::move(*part);
    } else {
      out.insert(out.end(), part->begin(), part->end());
    }
  }
  if (workloads.size() > 1) {
    std::stable_sort(out.begin(), out.end(),
                     [](const Request& a, const Request& b) { return a.arrival < b.arrival; });
  }
  return out;
}

}  // namespace arqon::workload
