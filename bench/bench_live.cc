// Searches the baselines of the shipped scenarios anew, writes them to the baseline file, and
// prints the sweep that shows whether a scenario has anything to gain.
//   bench_live BASELINES.json SEEDS(e.g. 1,2,3) SCENARIO.json...
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "arqon/compare/baselines.h"
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

double share(const documents::Scenario& scenario, const compare::SharedTrace& trace,
             std::uint64_t seed, const Config& setting) {
  const auto totals = compare::evaluate(scenario, trace, scenario.duration_s, seed, setting);
  return totals ? 100 * (1 - totals->attainment) : 100;
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
    const auto trace = compare::make_trace(*scenario, seed);
    if (!trace) return tl::unexpected(trace.error());
    const compare::Baselines& b = found->baselines;
    const Config boot = scenario->knobs.default_config();
    fmt::print("{} seed {}: % bad: default {:.2f}, yesterday {:.2f} at{}, hindsight {:.2f} at{}\n",
               scenario->name, seed, share(*scenario, *trace, seed, boot),
               share(*scenario, *trace, seed, b.yesterday), setting_text(*scenario, b.yesterday),
               share(*scenario, *trace, seed, b.hindsight), setting_text(*scenario, b.hindsight));
    if (seed == seeds.front()) print_sweep(*scenario, *found);
    auto stored = compare::BaselineFile::load(file);
    if (!stored) return tl::unexpected(stored.error());
    stored->put(*scenario, seed, b);
    if (auto saved = stored->save(file); !saved) return saved;
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
