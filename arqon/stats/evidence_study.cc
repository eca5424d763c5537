// How often the evidence is wrong, and how many requests it takes to be right: a table and a plot.
//   evidence_study [RUNS] [SVG]        1,000 runs of each row; about a minute
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "arqon/stats/drift.h"
#include "arqon/stats/testing/trial_sim.h"

namespace arqon::stats {
namespace {

using testing::TrialRun;
using testing::run_trial;
using testing::Traffic;

enum class Wanted { kFound, kNeverFails, kPasses, kNeverPasses };

struct Row {
  std::string name;
  std::string required;
  Wanted wanted = Wanted::kFound;
  TrialOptions options;
  Traffic traffic;
  std::uint64_t canary_max = 10000;
  std::uint64_t block = 50;
  std::string like;  // the row whose very requests these are
};

struct Outcome {
  std::vector<double> when;  // canary requests until the verdict that counts, in order
  std::size_t runs = 0;
  double share() const { return static_cast<double>(when.size()) / static_cast<double>(runs); }
  // Requests within which `part` of all runs had it; 0 = never.
  double within(double part) const {
    const auto rank =
        static_cast<std::size_t>(std::ceil(part * static_cast<double>(runs) - 1e-9));
    return rank == 0 || rank > when.size() ? 0 : when[rank - 1];
  }
};

Outcome play(const Row& row, std::size_t runs) {
  const bool pass = row.wanted == Wanted::kPasses || row.wanted == Wanted::kNeverPasses;
  Outcome out{.when = {}, .runs = runs};
  for (std::size_t i = 0; i < runs; ++i) {
    const Rng rng = Rng(6).stream(row.like.empty() ? row.name : row.like).stream(i);
    const TrialRun run =
        run_trial(row.options, row.traffic, rng, row.canary_max, row.block, pass);
    const Verdict counts = pass ? Verdict::kPass : Verdict::kFail;
    if (run.last.verdict == counts) out.when.push_back(static_cast<double>(run.canary));
  }
  std::ranges::sort(out.when);
  return out;
}

std::vector<Row> detections() {
  const TrialOptions plain;
  TrialOptions two = plain;
  two.classes = 2;
  TrialOptions eighth = plain;
  eighth.share = 0.125;
  return {
      {"F10: latency +50 %", "99 % within 200", Wanted::kFound, plain, {.slower = 1.5}, 200},
      {"F11: latency +20 %", "99 % within 1,000", Wanted::kFound, plain, {.slower = 1.2}, 1000},
      {"F11: latency +10 %", "99 % within 3,000", Wanted::kFound, plain, {.slower = 1.1}, 3000},
      {"F12: p99 +10 % only", "90 % within 25,000", Wanted::kFound, plain, {.tail_slower = 1.1},
       25000},
      {"F13: errors 0.1 % to 1 %", "99 % within 1,500", Wanted::kFound, plain,
       {.error_canary = 0.01}, 1500},
      {"F13: the same, one canary of eight", "99 % within 1,500", Wanted::kFound, eighth,
       {.error_canary = 0.01}, 1500},
      {"F18: 52.5 % of requests to the canary", "within 10,000 of both", Wanted::kFound, plain,
       {.canary_share = 0.525}, 5250},
      {"F18: the same, 20,000 of both", "-", Wanted::kFound, plain, {.canary_share = 0.525}, 10500},
      {"F18: class mix 55/45 against 50/50", "-", Wanted::kFound, two, {.mix_canary = 0.05}, 10000},
      {"bad requests 1 % to 3 %", "-", Wanted::kFound, plain, {.bad_canary = 0.03}, 10000},
  };
}

std::vector<Row> alarms() {
  const TrialOptions plain;
  TrialOptions two = plain;
  two.classes = 2;
  const auto diurnal = [](std::uint64_t i) {
    return 1 + 1.5 * (1 + std::sin(static_cast<double>(i) / 2000));
  };
  const auto shift = [](std::uint64_t i) { return i > 5000 ? 2.0 : 1.0; };
  const std::string at_most = "at most 1 %";
  return {
      {"F16: stationary noise", at_most, Wanted::kNeverFails, plain, {}},
      {"F16: bursts of 8", at_most, Wanted::kNeverFails, plain, {.cluster = 8}},
      {"F16: bursts of 8, blocks of 200", at_most, Wanted::kNeverFails, plain, {.cluster = 8},
       10000, 200},
      {"F16: two classes", at_most, Wanted::kNeverFails, two, {}},
      {"F16: latency with the day, times 4", at_most, Wanted::kNeverFails, plain,
       {.load = diurnal}},
      {"F16: heavy tail (sigma 1.5)", at_most, Wanted::kNeverFails, plain, {.sigma = 1.5}},
      {"F17: latency doubles for both arms", at_most, Wanted::kNeverFails, plain, {.load = shift}},
      {"F19: the first row with one request times 1,000", "no more than without",
       Wanted::kNeverFails, plain, {.outlier = 1000}, 10000, 50, "F16: stationary noise"},
  };
}

std::vector<Row> promotions() {
  const TrialOptions plain;
  TrialOptions eighth = plain;
  eighth.share = 0.125;
  const std::string passes = "95 % promoted", stays = "at most 5 % promoted";
  return {
      {"no worse (1 % bad in both arms)", passes, Wanted::kPasses, plain, {}, 60000},
      {"better (1 % to 0.8 %)", passes, Wanted::kPasses, plain, {.bad_canary = 0.008}, 60000},
      {"no worse, one canary of eight", passes, Wanted::kPasses, eighth, {}, 60000},
      {"worse by 0.5 points", stays, Wanted::kNeverPasses, plain, {.bad_canary = 0.015}, 60000},
      {"worse by 0.5 points, one of eight", stays, Wanted::kNeverPasses, eighth,
       {.bad_canary = 0.015}, 20000},
      {"worse by 0.5 points, bursts of 8", stays, Wanted::kNeverPasses, plain,
       {.bad_canary = 0.015, .cluster = 8}, 60000},
      {"no worse, bursts of 8", "-", Wanted::kPasses, plain, {.cluster = 8}, 200000},
  };
}

std::string count_of(double n) { return n == 0 ? "-" : fmt::format("{:.0f}", n); }

void print(const std::vector<Row>& rows, const std::vector<Outcome>& outcomes,
           std::string_view event) {
  fmt::print("| what | {} | 50 % of runs within | 90 % | 95 % | 99 % | required |\n", event);
  fmt::print("|---|---|---|---|---|---|---|\n");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Outcome& o = outcomes[i];
    fmt::print("| {} | {:.1f} % | {} | {} | {} | {} | {} |\n", rows[i].name, 100 * o.share(),
               count_of(o.within(0.5)), count_of(o.within(0.9)), count_of(o.within(0.95)),
               count_of(o.within(0.99)), rows[i].required);
  }
  fmt::print("\n");
}

// Log latencies at 20 a second against a baseline of 5,000; the drift begins after `quiet` samples.
std::vector<double> drift_found(double per_minute, std::size_t runs, std::uint64_t samples) {
  std::vector<double> when;
  for (std::size_t run = 0; run < runs; ++run) {
    Rng rng = Rng(6).stream("drift").stream(run);
    double sum = 0, squares = 0;
    constexpr int kBaseline = 5000;
    for (int i = 0; i < kBaseline; ++i) {
      const double x = 0.5 * rng.normal();
      sum += x;
      squares += x * x;
    }
    const double mean = sum / kBaseline;
    DriftDetector detector({mean, std::sqrt(squares / kBaseline - mean * mean)});
    for (std::uint64_t i = 1; i <= samples; ++i) {
      const double slower = 1 + per_minute * static_cast<double>(i) / 1200;
      if (!detector.observe(std::log(slower) + 0.5 * rng.normal())) continue;
      when.push_back(static_cast<double>(i));
      break;
    }
  }
  std::ranges::sort(when);
  return when;
}

void print_drift(std::size_t runs) {
  const auto found = drift_found(0.005, runs, 24000);
  const auto quiet = drift_found(0, runs, 144000);
  const auto total = static_cast<double>(runs);
  const double last = found.empty() ? 0 : found.back();
  fmt::print("| what | runs | result | required |\n|---|---|---|---|\n");
  fmt::print("| F15: drift of 0.5 % a minute at 20 requests/s | {} | found in {:.1f} % before "
             "+10 %; median at +{:.1f} %, latest at +{:.1f} % | before +10 % |\n",
             runs, 100 * static_cast<double>(found.size()) / total,
             found.empty() ? 0 : 0.5 * found[found.size() / 2] / 1200, 0.5 * last / 1200);
  fmt::print("| the same detector, two hours without drift | {} | {} alarms | none |\n\n", runs,
             quiet.size());
}

// Share of runs decided, over requests on a logarithmic axis.
class Plot {
 public:
  void add(const std::string& name, const Outcome& outcome) {
    constexpr std::array kColours = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951",
                                     "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"};
    const char* colour = kColours[lines_ % kColours.size()];
    std::string points;
    const std::size_t stride = std::max<std::size_t>(1, outcome.runs / 100);
    for (std::size_t i = 0; i < outcome.when.size(); i += stride) {
      const double share = static_cast<double>(i + 1) / static_cast<double>(outcome.runs);
      points += fmt::format("{:.1f},{:.1f} ", x(outcome.when[i]), y(share));
    }
    body_ += fmt::format("<polyline fill='none' stroke='{}' stroke-width='2' points='{}'/>\n",
                         colour, points);
    body_ += fmt::format("<text x='640' y='{}' fill='{}'>{}</text>\n", 40 + 18 * lines_, colour,
                         name);
    ++lines_;
  }
  bool write(const std::string& path) const {
    std::ofstream out(path);
    out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 960 380' font-family='sans-serif' "
           "font-size='13'>\n<rect width='960' height='380' fill='white'/>\n";
    for (const double n : {10.0, 100.0, 1000.0, 10000.0, 100000.0}) {
      out << fmt::format("<line x1='{0:.1f}' x2='{0:.1f}' y1='20' y2='320' stroke='#ddd'/>"
                         "<text x='{0:.1f}' y='338' text-anchor='middle'>{1:.0f}</text>\n",
                         x(n), n);
    }
    for (const double share : {0.0, 0.5, 0.9, 1.0}) {
      out << fmt::format("<line x1='60' x2='620' y1='{0:.1f}' y2='{0:.1f}' stroke='#ddd'/>"
                         "<text x='52' y='{1:.1f}' text-anchor='end'>{2:.0f} %</text>\n",
                         y(share), y(share) + 4, 100 * share);
    }
    out << body_
        << "<text x='340' y='362' text-anchor='middle'>requests of the canary</text>\n"
           "<text x='60' y='14'>runs decided by then</text>\n</svg>\n";
    return out.good();
  }

 private:
  static double x(double n) { return 60 + 140 * (std::log10(n) - 1); }
  static double y(double share) { return 320 - 300 * share; }
  std::string body_;
  std::size_t lines_ = 0;
};

int main_of_study(std::size_t runs, const std::string& svg) {
  Plot plot;
  const auto table = [&](const std::vector<Row>& rows, std::string_view event, bool plotted) {
    std::vector<Outcome> outcomes;
    for (const Row& row : rows) {
      outcomes.push_back(play(row, runs));
      if (plotted && row.required != "-") plot.add(row.name, outcomes.back());
    }
    print(rows, outcomes, event);
  };
  fmt::print("{} runs of each row; requests are the canary's\n\n", runs);
  table(detections(), "found", true);
  table(alarms(), "false alarms in 20,000 requests", false);
  table(promotions(), "promoted", true);
  print_drift(runs);
  if (!svg.empty() && !plot.write(svg)) {
    std::fprintf(stderr, "cannot write %s\n", svg.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace arqon::stats

int main(int argc, char** argv) {
  const long runs = argc > 1 ? std::atol(argv[1]) : 1000;
  return arqon::stats::main_of_study(static_cast<std::size_t>(std::max(1L, runs)),
                                     argc > 2 ? argv[2] : "");
}
