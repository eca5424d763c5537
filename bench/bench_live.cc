// Searches the baselines of the shipped scenarios anew, writes them to the baseline file, and
// prints the sweep that shows whether a scenario has anything to gain.
//   bench_live BASELINES.json SEEDS(e.g. 1,2,3) SCENARIO.json...
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "arqon/compare/baselines.h"
#include "arqon/compare/compare.h"
#include "arqon/compare/evaluate.h"
#include "arqon/compare/search.h"
#include "arqon/documents/scenario.h"
#include "arqon/os/file.h"

namespace {

using namespace arqon;

std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    seeds.push_back(std::strtoull(text.substr(at, comma - at).c_str(), nullptr, 10));
    at = comma + 1;
  }
  return seeds;
}

std::string setting_text(const documents::Scenario& scenario, const Config& setting) {
  std::string text;
  for (std::size_t k = 0; k < scenario.knobs.size(); ++k) {
    text += fmt::format(" {:.6g}", setting[scenario.knobs.offset(k)]);
  }
  return text;
}

// The rivals of one seed in the scenario's measure, and whether there is anything to gain: at least
// 2 points of bad share, or a tenth of cost or good tokens (docs/reference/scenario.md).
Status print_lead(const documents::Scenario& scenario, std::uint64_t seed, const std::string& file,
                  const compare::Baselines& b) {
  compare::CompareOptions options;
  options.strategies = {"default", "yesterday", "hindsight", "oracle"};
  options.seeds = {seed};
  options.baselines = file;
  const auto result = compare::compare(scenario, options);
  if (!result) return tl::unexpected(result.error());
  fmt::print("{} seed {}, {}:", scenario.name, seed, scenario.measure);
  std::map<std::string, double> measure;
  for (const documents::StrategyRun& run : result->runs) {
    measure[run.strategy] = compare::measure_of(scenario.measure, run.totals);
    fmt::print(" {} {:.5g} ({:.2f} % bad)", run.strategy, measure[run.strategy],
               100 * (1 - run.totals.attainment));
  }
  const double yesterday = measure["yesterday"];
  const double least = scenario.measure == "bad_share" ? 0.02 : 0.1 * std::abs(yesterday);
  const bool gain =
      yesterday - measure["hindsight"] >= least && yesterday - measure["oracle"] >= least;
  fmt::print("; {}\n  yesterday{}; hindsight{}; oracle", gain ? "gain" : "nothing to gain",
             setting_text(scenario, b.yesterday), setting_text(scenario, b.hindsight));
  for (const Config& part : b.oracle) fmt::print(" |{}", setting_text(scenario, part));
  fmt::print("\n");
  return {};
}

void print_sweep(const documents::Scenario& scenario, compare::SearchResult& result) {
  auto& rows = result.sweep;
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.whole < b.whole; });
  fmt::print("  sweep of {} settings on a thinned copy; % bad whole / per segment\n", rows.size());
  const std::size_t step = std::max<std::size_t>(1, rows.size() / 12);
  for (std::size_t i = 0; i < rows.size(); i += step) {
    std::string parts;
    for (const double p : rows[i].bad_share) parts += fmt::format(" {:6.2f}", 100 * p);
    fmt::print("    rank {:3}: {:6.2f} / {} at{}\n", i + 1, 100 * rows[i].whole, parts,
               setting_text(scenario, rows[i].setting));
  }
}

Status run(const std::string& file, const std::vector<std::uint64_t>& seeds,
           const std::string& path) {
  const auto text = os::read_file(path, 8u << 20);
  if (!text) return tl::unexpected(text.error());
  const auto scenario = documents::parse_scenario(*text, path);
  if (!scenario) {
    return fail(ErrorCode::kInvalidConfig, wire::to_string(scenario.error().front(), path));
  }
  for (const std::uint64_t seed : seeds) {
    compare::SearchOptions options;
    options.threads = std::max(1u, std::thread::hardware_concurrency());
    options.progress = [&](double fraction, const std::string& what) {
      fmt::print(stderr, "\r{} seed {}: {:3.0f} % {:40}", scenario->name, seed, 100 * fraction,
                 what);
    };
    auto found = compare::search_baselines(*scenario, seed, options);
    fmt::print(stderr, "\n");
    if (!found) return tl::unexpected(found.error());
    const compare::Baselines& b = found->baselines;
    if (seed == seeds.front()) print_sweep(*scenario, *found);
    auto stored = compare::BaselineFile::load(file);
    if (!stored) return tl::unexpected(stored.error());
    stored->put(*scenario, seed, b);
    if (auto saved = stored->save(file); !saved) return saved;
    if (auto shown = print_lead(*scenario, seed, file, b); !shown) return shown;
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: bench_live BASELINES.json SEED,SEED,... SCENARIO.json...\n");
    return 2;
  }
  for (int i = 3; i < argc; ++i) {
    if (auto done = run(argv[1], parse_seeds(argv[2]), argv[i]); !done) {
      fmt::print(stderr, "{}\n", done.error().message);
      return arqon::exit_code(done.error().code);
    }
  }
  return 0;
}
