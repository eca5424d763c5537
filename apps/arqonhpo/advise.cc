// arqonhpo advise: better flags for an engine, from its history, with nothing installed on it.
#include "arqon/advise/advise.h"

#include <fmt/format.h>

#include <atomic>

#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/observation_files.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/advise/traffic.h"
#include "arqon/documents/calibration.h"
#include "arqon/os/file.h"
#include "arqon/report/words.h"
#include "arqon/sim/model_data.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

constexpr double kWindowS = 15;

template <typename Table>
std::string names_of(const Table& table) {
  std::string out;
  for (const auto& row : table) out += fmt::format("{}{}", out.empty() ? "" : ", ", row.name);
  return out;
}

Error broken(const wire::Diagnostics& problems, const std::string& what, const Console& console) {
  for (const wire::Diagnostic& problem : problems) {
    console.talk(wire::to_string(problem, what) + "\n");
  }
  return {ErrorCode::kInvalidConfig,
          fmt::format("{}: {} {}; nothing was done", what, problems.size(),
                      problems.size() == 1 ? "problem" : "problems")};
}

Result<advise::EngineFlags> flags_of(const AdviseArgs& args, const Console& console) {
  std::string text = args.flags, what = "--flags";
  if (!args.flags_file.empty()) {
    if (!text.empty()) return fail(ErrorCode::kUsage, "--flags or --flags-file, not both");
    auto read = os::read_file(args.flags_file, 1u << 16);
    if (!read) return tl::unexpected(read.error());
    text = std::move(*read);
    what = args.flags_file.string();
  }
  if (text.empty()) {
    return fail(ErrorCode::kUsage,
                "how was the engine started? Say --flags \"vllm serve MODEL ...\" or --flags-file");
  }
  auto flags = advise::parse_vllm_flags(text);
  if (!flags) return tl::unexpected(broken(flags.error(), what, console));
  return *flags;
}

Result<sim::PoolSpec> pool_of(const AdviseArgs& args, const advise::EngineFlags& flags) {
  sim::PoolSpec pool;
  pool.name = "engine";
  pool.model = args.model.empty() ? advise::twin_model_of(flags.model) : args.model;
  pool.gpu = args.gpu;
  pool.tp = flags.tp;
  pool.dtype = flags.dtype;
  pool.engine = flags.engine;
  if (pool.model.empty() || sim::find_model(pool.model) == nullptr) {
    return fail(ErrorCode::kUsage, fmt::format("which model is \"{}\"? Say --model, one of {}",
                                               args.model.empty() ? flags.model : args.model,
                                               names_of(sim::known_models())));
  }
  if (sim::find_gpu(pool.gpu) == nullptr) {
    return fail(ErrorCode::kUsage, fmt::format("on which GPU does it run? Say --gpu, one of {}",
                                               names_of(sim::known_gpus())));
  }
  return pool;
}

serving::Slo promised(const AdviseArgs& args) {
  serving::Slo slo{.name = "all"};
  const auto set = [](double& limit, double value) {
    if (value > 0) limit = value;
  };
  set(slo.ttft_ms, args.ttft_ms);
  set(slo.tpot_ms, args.tpot_ms);
  set(slo.max_gap_ms, args.max_gap_ms);
  set(slo.e2e_ms, args.e2e_ms);
  return slo;
}

// From a file, or from the windows themselves.
Result<calibrate::Fit> fit_of(const AdviseArgs& args, const sim::PoolSpec& pool,
                              const calibrate::Observations& windows, const Console& console) {
  if (args.calibration.empty()) return calibrate::fit(pool, windows);
  auto text = os::read_file(args.calibration, 1u << 20);
  if (!text) return tl::unexpected(text.error());
  auto document = documents::parse_calibration(*text);
  if (!document) {
    return tl::unexpected(broken(document.error(), args.calibration.string(), console));
  }
  return document->fit;
}

std::string gain_line(const char* what, const advise::Interval& gain, const char* unit) {
  return fmt::format("  {:<22} {:+.1f} {} (95 %: {:+.1f} to {:+.1f})\n", what, 100 * gain.mean,
                     unit, 100 * gain.low, 100 * gain.high);
}

std::string human(const advise::Question& question, const advise::Advice& advice) {
  const calibrate::Traffic& t = question.traffic;
  std::string out = fmt::format(
      "traffic     {:.2f} requests per second, prompts of {:.0f} and answers of {:.0f} tokens "
      "on average\ntwin        {} on {}; {}\n\n",
      t.rate_per_s, t.prompt_mean, t.output_mean, question.pool.model, question.pool.gpu,
      advice.trust.reason);
  if (advice.finding == advise::Finding::kNoTrust) {
    return out + fmt::format("no advice: {}\n", advice.reason);
  }
  if (advice.finding == advise::Finding::kNothing) {
    return out + fmt::format("nothing to gain: {}; {} of requests are good as it is\n",
                             advice.reason, report::percent(advice.good_share_now));
  }
  for (const advise::FlagChange& change : advice.changes) {
    out += fmt::format("- {} {}\n+ {} {}\n", change.flag, change.from, change.flag, change.to);
  }
  out +=
      fmt::format("\nexpected ({}; {} -> {} of requests good)\n", advice.reason,
                  report::percent(advice.good_share_now), report::percent(advice.good_share_then));
  out += gain_line("good requests", advice.good_share, "points");
  out += gain_line("first token, p90", advice.ttft, "% faster");
  return out + gain_line("largest gap, p90", advice.gap, "% shorter");
}

wire::Object interval_object(const advise::Interval& interval) {
  return {{"mean", interval.mean}, {"low", interval.low}, {"high", interval.high}};
}

std::string json_of(const advise::Question& question, const advise::Advice& advice) {
  constexpr const char* kFindings[] = {"change", "nothing", "no_trust"};
  wire::Array changes;
  for (const advise::FlagChange& change : advice.changes) {
    changes.push_back(
        wire::Object{{"flag", change.flag}, {"from", change.from}, {"to", change.to}});
  }
  wire::Object out{{"schema", 1},
                   {"finding", kFindings[static_cast<std::size_t>(advice.finding)]},
                   {"reason", advice.reason},
                   {"changes", std::move(changes)},
                   {"gain", wire::Object{{"good_share", interval_object(advice.good_share)},
                                         {"ttft_ms_p90", interval_object(advice.ttft)},
                                         {"max_gap_ms_p90", interval_object(advice.gap)}}},
                   {"good_share",
                    wire::Object{{"now", advice.good_share_now}, {"then", advice.good_share_then}}},
                   {"trust", wire::Object{{"believe", advice.trust.believe},
                                          {"error", advice.trust.error},
                                          {"signal", advice.trust.signal},
                                          {"reason", advice.trust.reason}}},
                   {"traffic", wire::Object{{"rate_per_s", question.traffic.rate_per_s},
                                            {"prompt_tokens_mean", question.traffic.prompt_mean},
                                            {"output_tokens_mean", question.traffic.output_mean}}},
                   {"settings_tried", static_cast<std::int64_t>(advice.settings_tried)},
                   {"build", build_id()}};
  return wire::write_json(wire::Value(std::move(out)), 2) + "\n";
}

Status give_advice(const AdviseArgs& args, Console& console) {
  advise::Question question;
  const auto flags = flags_of(args, console);
  if (!flags) return tl::unexpected(flags.error());
  question.flags = *flags;
  auto pool = pool_of(args, *flags);
  if (!pool) return tl::unexpected(pool.error());
  question.pool = std::move(*pool);
  question.promised = promised(args);
  auto seen = read_observation_files({args.files.begin(), args.files.end()}, kWindowS, console);
  if (!seen) return tl::unexpected(seen.error());
  question.windows = std::move(seen->windows);
  question.traffic = seen->traffic.seconds > 0 ? std::move(seen->traffic)
                                               : advise::traffic_of_windows(question.windows);
  // The engine's own number of blocks beats any estimate of it.
  if (question.traffic.kv_blocks >= 1 && !question.pool.engine.kv_cache_blocks) {
    question.pool.engine.kv_cache_blocks = static_cast<std::int64_t>(question.traffic.kv_blocks);
    question.pool.engine.block_size = static_cast<std::int64_t>(question.traffic.block_size);
  }
  auto fit = fit_of(args, question.pool, question.windows, console);
  if (!fit) return tl::unexpected(fit.error());
  question.fit = std::move(*fit);
  question.seed = args.seed;
  const std::atomic<bool>& stop = install_interrupt();
  Progress progress(console, args.quiet);
  question.keep_going = [&](double done) {
    progress.update(done, "replaying");
    return !stop;
  };
  const auto advice = advise::advise(question);
  progress.finish();
  if (!advice) return tl::unexpected(advice.error());
  const Status said =
      console.data(args.json ? json_of(question, *advice) : human(question, *advice));
  if (!said || advice->finding != advise::Finding::kNoTrust) return said;
  return fail(ErrorCode::kInconclusive, "no advice: the twin does not fit what was seen");
}

}  // namespace

int run_advise(const AdviseArgs& args, Console& console) {
  const Status done = give_advice(args, console);
  return done ? 0 : console.complain(done.error());
}

}  // namespace arqon::app
