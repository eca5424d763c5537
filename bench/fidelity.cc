// How true the twin is to measured rows of real engines.
//   fidelity ROWS.csv [--fit HALF] [--score OTHER.csv] [--rows] [--set NAME=VALUE]...
// Without --fit the shipped constants are scored on every row. --fit fits six scalars of each
// deployment (engine and version) on the named half and scores the other: `even`, `odd`,
// `even-pairs` and `odd-pairs` are positions in the file, `tp=N` the rows of that width, `all` goes
// with --score, another file.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/sim/model_data.h"
#include "bench/fidelity_fit.h"
#include "bench/fidelity_rows.h"

namespace arqon::bench {
namespace {

constexpr double kStarvedKvUse = 0.95;
constexpr double kStarvedTtftMs = 2500;  // measured: waits for memory, not for a prefill
// A setting is taken for feasible when the twin sees this much room below the limit.
constexpr double kRoom = 0.97;

struct Scored {
  Row row;
  Predicted predicted;
  double tpot_error() const { return std::abs(predicted.tpot_ms / row.tpot_ms - 1); }
  double ttft_error() const { return std::abs(predicted.ttft_ms / row.ttft_ms - 1); }
  double measured_rate() const { return throughput(row, row.ttft_ms, row.tpot_ms); }
  double predicted_rate() const {
    return throughput(row, predicted.ttft_ms, predicted.tpot_ms);
  }
  double rate_error() const { return std::abs(predicted_rate() / measured_rate() - 1); }
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

// Nearest rank.
double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

template <typename Get>
std::vector<double> column(const std::vector<Scored>& rows, Get get) {
  std::vector<double> out;
  for (const Scored& s : rows) out.push_back(get(s));
  return out;
}

void print_errors(std::string_view name, const std::vector<Scored>& rows) {
  if (rows.empty()) return;
  const auto tpot = column(rows, [](const Scored& s) { return s.tpot_error(); });
  const auto rate = column(rows, [](const Scored& s) { return s.rate_error(); });
  std::vector<double> ttft;
  for (const Scored& s : rows) {
    if (s.predicted.kv_use < kStarvedKvUse) ttft.push_back(s.ttft_error());
  }
  fmt::print("{:<24} {:3} rows  TPOT mean {:4.1f} % p90 {:4.1f} %  throughput mean {:4.1f} %  "
             "TTFT median {:4.1f} % mean {:4.1f} % ({} rows under 95 % KV)\n",
             name, rows.size(), 100 * mean(tpot), 100 * quantile(tpot, 0.9), 100 * mean(rate),
             100 * quantile(ttft, 0.5), 100 * mean(ttft), ttft.size());
}

void print_starved(const std::vector<Scored>& rows) {
  for (const Scored& s : rows) {
    const bool measured = s.row.ttft_ms > kStarvedTtftMs;
    const bool predicted = s.predicted.ttft_ms > kStarvedTtftMs;
    if (!measured && !predicted) continue;
    fmt::print("  KV-starved: {} tp{} {}/{} conc {}: TTFT {:.1f} s measured, {:.1f} s predicted "
               "({:+.0f} %), TPOT {:.1f} / {:.1f} ms{}\n",
               s.row.model, s.row.tp, s.row.isl, s.row.osl, s.row.concurrency,
               s.row.ttft_ms / 1e3, s.predicted.ttft_ms / 1e3,
               100 * (s.predicted.ttft_ms / s.row.ttft_ms - 1), s.row.tpot_ms,
               s.predicted.tpot_ms, measured == predicted ? "" : "  WRONG REGIME");
  }
}

double rate_per_gpu(const Scored& s, bool measured) {
  return (measured ? s.measured_rate() : s.predicted_rate()) / s.row.tp;
}

double kendall_tau(const std::vector<Scored>& rows) {
  int agree = 0, pairs = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = i + 1; j < rows.size(); ++j) {
      if (rows[i].row.model != rows[j].row.model) continue;
      const double a = rate_per_gpu(rows[i], true) - rate_per_gpu(rows[j], true);
      const double b = rate_per_gpu(rows[i], false) - rate_per_gpu(rows[j], false);
      ++pairs;
      agree += a * b > 0 ? 1 : -1;
    }
  }
  return pairs == 0 ? 0 : static_cast<double>(agree) / pairs;
}

bool same_work(const Row& a, const Row& b) {
  return a.model == b.model && a.isl == b.isl && a.osl == b.osl;
}

// The setting (TP and concurrency) of most throughput per GPU whose TPOT is at most `limit`.
const Scored* choose(const std::vector<Scored>& rows, const Row& work, double limit,
                     bool measured) {
  const Scored* best = nullptr;
  for (const Scored& s : rows) {
    if (!same_work(s.row, work)) continue;
    const double tpot = measured ? s.row.tpot_ms : s.predicted.tpot_ms / kRoom;
    if (tpot > limit) continue;
    if (best == nullptr || rate_per_gpu(s, measured) > rate_per_gpu(*best, measured)) best = &s;
  }
  return best;
}

void print_decisions(const std::vector<Scored>& rows) {
  std::vector<Row> works;
  for (const Scored& s : rows) {
    const bool known = std::any_of(works.begin(), works.end(),
                                   [&](const Row& w) { return same_work(w, s.row); });
    if (!known) works.push_back(s.row);
  }
  int cases = 0, feasible = 0, none = 0;
  std::vector<double> regret;
  for (const Row& work : works) {
    for (int limit = 15; limit <= 40; ++limit) {
      const Scored* best = choose(rows, work, limit, true);
      if (best == nullptr) continue;
      const Scored* chosen = choose(rows, work, limit, false);
      if (chosen == nullptr) {
        ++none;
        continue;
      }
      ++cases;
      if (chosen->row.tpot_ms > limit) continue;
      ++feasible;
      regret.push_back(1 - rate_per_gpu(*chosen, true) / rate_per_gpu(*best, true));
    }
  }
  fmt::print("decisions: Kendall tau of throughput per GPU {:.3f}; TPOT limits 15-40 ms: feasible "
             "{}/{} ({:.1f} %), mean regret {:.1f} %, {} without a choice\n",
             kendall_tau(rows), feasible, cases, 100.0 * feasible / std::max(1, cases),
             100 * mean(regret), none);
}

void print_rows(const std::vector<Scored>& rows) {
  for (const Scored& s : rows) {
    fmt::print("  {:<14} tp{} {:5}/{:<5} conc {:3}  TPOT {:7.2f} {:7.2f} {:+6.1f} %  "
               "TTFT {:8.1f} {:8.1f} {:+6.1f} %  kv {:.2f} pre {}\n",
               s.row.model, s.row.tp, s.row.isl, s.row.osl, s.row.concurrency, s.row.tpot_ms,
               s.predicted.tpot_ms, 100 * (s.predicted.tpot_ms / s.row.tpot_ms - 1),
               s.row.ttft_ms, s.predicted.ttft_ms,
               100 * (s.predicted.ttft_ms / s.row.ttft_ms - 1), s.predicted.kv_use,
               s.predicted.preemptions);
  }
}

bool in_half(std::string_view half, const Row& row, std::size_t index) {
  if (half == "even") return index % 2 == 0;
  if (half == "odd") return index % 2 == 1;
  if (half == "even-pairs") return index / 2 % 2 == 0;
  if (half == "odd-pairs") return index / 2 % 2 == 1;
  return half == fmt::format("tp={}", row.tp);
}

struct Named {
  std::string_view name;
  double sim::Calibration::*member;
};
constexpr std::array<Named, 8> kNamed = {
    {{"host_ms", &sim::Calibration::host_ms},
     {"host_ms_per_sequence", &sim::Calibration::host_ms_per_sequence},
     {"front_end_ms", &sim::Calibration::front_end_ms},
     {"linear_memory", &sim::Calibration::linear_memory},
     {"linear_compute", &sim::Calibration::linear_compute},
     {"linear_scale", &sim::Calibration::linear_scale},
     {"decode_kv", &sim::Calibration::decode_kv},
     {"other_memory_gb", &sim::Calibration::other_memory_gb}}};

bool set(std::string_view text, sim::Calibration& calibration) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const double value = std::strtod(std::string(text.substr(equals + 1)).c_str(), nullptr);
  const std::string_view name = text.substr(0, equals);
  if (name == "host_overlap") calibration.host_overlap = value;
  for (const Named& named : kNamed) {
    if (named.name == name) calibration.*named.member = value;
  }
  return true;
}

using Constants = std::map<std::string, sim::Calibration>;  // by deployment

Constants shipped(const std::vector<Row>& rows, const std::vector<std::string_view>& sets) {
  Constants out;
  for (const Row& row : rows) {
    sim::Calibration& c = out[row.deployment()];
    c = sim::find_engine(row.backend)->calibration;
    for (const std::string_view text : sets) set(text, c);
  }
  return out;
}

void report(const std::vector<Row>& rows, const Constants& constants, bool each) {
  std::vector<Scored> scored;
  for (const Row& row : rows) scored.push_back({row, predict(row, constants.at(row.deployment()))});
  if (each) print_rows(scored);
  print_errors("all", scored);
  std::vector<std::string> models;
  for (const Row& row : rows) {
    if (std::find(models.begin(), models.end(), row.model) == models.end()) {
      models.push_back(row.model);
    }
  }
  for (const std::string& model : models) {
    std::vector<Scored> part;
    for (const Scored& s : scored) {
      if (s.row.model == model) part.push_back(s);
    }
    print_errors("  " + model, part);
  }
  print_starved(scored);
  print_decisions(scored);
}

// Each deployment's constants from its own rows.
void fit_each(const std::vector<Row>& rows, Constants& constants) {
  for (auto& [deployment, calibration] : constants) {
    std::vector<Row> own;
    for (const Row& row : rows) {
      if (row.deployment() == deployment) own.push_back(row);
    }
    if (own.empty()) continue;
    calibration = fit(own, calibration);
    fmt::print("fitted on {} rows of {}:", own.size(), deployment);
    for (const Named& named : kNamed) {
      fmt::print(" {}={:.4g}", named.name, calibration.*named.member);
    }
    fmt::print("\n");
  }
}

Result<std::vector<Row>> read_known(const std::string& file) {
  Result<Rows> rows = read_rows(file);
  if (!rows) return tl::unexpected<Error>(rows.error());
  if (rows->skipped > 0) fmt::print("{}: {} rows of unknown models\n", file, rows->skipped);
  return std::move(rows->rows);
}

int run(int argc, char** argv) {
  std::string half, other;
  bool each = false;
  std::vector<std::string_view> sets;
  for (int i = 2; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--rows") each = true;
    if (arg == "--fit" && i + 1 < argc) half = argv[++i];
    if (arg == "--score" && i + 1 < argc) other = argv[++i];
    if (arg == "--set" && i + 1 < argc) sets.push_back(argv[++i]);
  }
  Result<std::vector<Row>> rows = read_known(argv[1]);
  Result<std::vector<Row>> others = std::vector<Row>();
  if (!other.empty()) others = read_known(other);
  for (const auto* result : {&rows, &others}) {
    if (*result) continue;
    fmt::print(stderr, "{}\n", result->error().message);
    return 3;
  }
  std::vector<Row> fitted, scored = *others;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const bool fits = half == "all" || in_half(half, (*rows)[i], i);
    if (fits) fitted.push_back((*rows)[i]);
    if (!fits && other.empty()) scored.push_back((*rows)[i]);
  }
  std::vector<Row> all = fitted;
  all.insert(all.end(), scored.begin(), scored.end());
  Constants constants = shipped(all, sets);
  if (half.empty()) {
    fmt::print("shipped constants, nothing fitted\n");
  } else {
    fit_each(fitted, constants);
    fmt::print("fitted on {}; scored on {} other rows\n", half, scored.size());
  }
  report(scored, constants, each);
  return 0;
}

}  // namespace
}  // namespace arqon::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: fidelity ROWS.csv [--fit even|odd|even-pairs|odd-pairs|tp=N|all] "
                       "[--score OTHER.csv] [--rows] [--set NAME=VALUE]...\n");
    return 2;
  }
  return arqon::bench::run(argc, argv);
}
