// arqonhpo calibrate: from what an engine was seen to do to the scalars of its twin.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include "apps/arqonhpo/calibrate_live.h"
#include "apps/arqonhpo/observation_files.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/calibrate/fit.h"
#include "arqon/documents/calibration.h"
#include "arqon/os/file.h"
#include "arqon/report/words.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

// Nobody has fitted the efficiencies of hardware that a user describes.
constexpr double kOwnHardwarePriorWidth = 4;

Result<sim::PoolSpec> pool_of(const CalibrateArgs& args, const Console& console) {
  if (args.scenario.empty()) {
    if (args.model.empty() || args.gpu.empty()) {
      return fail(ErrorCode::kUsage,
                  "whose twin is it? Say --scenario FILE, or --model NAME --gpu NAME");
    }
    sim::PoolSpec pool;
    pool.name = "main";
    pool.model = args.model;
    pool.gpu = args.gpu;
    pool.dtype = args.dtype;
    pool.tp = args.tp;
    return pool;
  }
  auto scenario = load_scenario(args.scenario, console);
  if (!scenario) return tl::unexpected(scenario.error());
  std::vector<std::string> names;
  for (const sim::PoolSpec& pool : scenario->fleet.pools) {
    if (args.pool.empty() || pool.name == args.pool) return pool;
    names.push_back(pool.name);
  }
  return fail(ErrorCode::kUsage, fmt::format("{} has no pool \"{}\"; it has {}", args.scenario,
                                             args.pool, fmt::join(names, ", ")));
}

struct Seen {
  calibrate::Observations windows;
  calibrate::Traffic traffic;  // of a history
  std::string engine;
};

Result<Seen> seen_by(const CalibrateArgs& args, Console& console) {
  Seen out;
  if (args.words.front() == "vllm") {
    if (args.words.size() != 2) {
      return fail(ErrorCode::kUsage, "say `arqonhpo calibrate vllm URL --scenario SCENARIO`");
    }
    auto watched = watch_vllm(args.words[1], args, console);
    if (!watched) return tl::unexpected(watched.error());
    out.windows = std::move(watched->idle);
    std::ranges::copy(calibrate::windows_of(watched->history, args.window_s),
                      std::back_inserter(out.windows));
    out.traffic = calibrate::traffic_of(watched->history);
    out.engine = watched->engine;
    return out;
  }
  auto read =
      read_observation_files({args.words.begin(), args.words.end()}, args.window_s, console);
  if (!read) return tl::unexpected(read.error());
  out.windows = std::move(read->windows);
  out.traffic = std::move(read->traffic);
  return out;
}

std::string errors_line(const char* what, double before, double after) {
  if (before == 0 && after == 0) return "";
  return fmt::format("{} off by {} before, {} now (mean over the windows)\n", what,
                     report::percent(before, 1), report::percent(after, 1));
}

std::string human(const sim::PoolSpec& pool, const calibrate::Fit& fit) {
  std::string out =
      fmt::format("{}: {} on {}, from {} window{} ({}{})\n\n", pool.name, pool.model, pool.gpu,
                  fit.windows, fit.windows == 1 ? "" : "s", fit.source,
                  fit.left_out == 0 ? std::string() : fmt::format("; {} left out", fit.left_out));
  std::vector<std::vector<std::string>> rows{{"scalar", "value", "95 % from", "to", "before"}};
  for (const calibrate::Scalar& s : fit.scalars) {
    rows.push_back({s.name, report::number(s.value), report::number(s.low), report::number(s.high),
                    report::number(s.prior)});
  }
  out += text_table(rows) + "\n";
  out += errors_line("mean gap   ", fit.gap_error_before, fit.gap_error);
  out += errors_line("throughput ", fit.throughput_error_before, fit.throughput_error);
  if (fit.kv_tokens > 0) {
    out += fmt::format("KV cache    about {} tokens\n", report::count(fit.kv_tokens));
  }
  if (fit.windows == 0) out += "nothing was told: these are the defaults\n";
  return out;
}

documents::CalibrationDocument document_of(const sim::PoolSpec& pool, const Seen& seen,
                                           calibrate::Fit fit, const std::string& engine) {
  documents::CalibrationDocument out{.engine = engine.empty() ? seen.engine : engine,
                                     .model = pool.model,
                                     .gpu = pool.gpu,
                                     .dtype = pool.dtype,
                                     .tp = pool.tp,
                                     .fit = std::move(fit)};
  if (seen.traffic.kv_blocks >= 1 && seen.traffic.block_size >= 1) {
    out.kv_cache_blocks = static_cast<std::int64_t>(seen.traffic.kv_blocks);
    out.block_size = static_cast<std::int64_t>(seen.traffic.block_size);
  }
  return out;
}

Status calibrate_pool(const CalibrateArgs& args, Console& console) {
  const auto pool = pool_of(args, console);
  if (!pool) return tl::unexpected(pool.error());
  // Looked at first: a minute of watching must not end in a typing error.
  std::error_code error;
  if (const auto folder = args.out.parent_path();
      !folder.empty() && !std::filesystem::is_directory(folder, error)) {
    return fail(ErrorCode::kUnavailable, fmt::format("--out: {} is no folder", folder.string()));
  }
  const auto seen = seen_by(args, console);
  if (!seen) return tl::unexpected(seen.error());
  const bool own = pool->own_gpu != nullptr || pool->own_model != nullptr;
  auto fitted = calibrate::fit(
      *pool, seen->windows,
      {.half_life_s = args.half_life_s, .prior_width = own ? kOwnHardwarePriorWidth : 1});
  if (!fitted) return tl::unexpected(fitted.error());
  const std::string text = human(*pool, *fitted);
  const std::string json =
      documents::to_json(document_of(*pool, *seen, std::move(*fitted), args.engine)) + "\n";
  if (!args.out.empty()) {
    if (Status written = os::write_file(args.out, json); !written) return written;
    return console.data(args.json ? json : text);
  }
  console.talk(text);
  return console.data(json);
}

}  // namespace

int run_calibrate(const CalibrateArgs& args, Console& console) {
  const Status done = calibrate_pool(args, console);
  return done ? 0 : console.complain(done.error());
}

}  // namespace arqon::app
