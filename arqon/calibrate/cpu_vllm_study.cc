// The twin beside a real vLLM on a CPU, calibrated at two caps: a table, and the figure of
// docs/reference/simulator.md.
//
// Usage: cpu_vllm_study FIGURE.svg [CAP CAP]
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "arqon/calibrate/cpu_vllm_test.h"

namespace arqon::calibrate::cpu_vllm {
namespace {

struct Pair {
  CapPoint real, twin;
};

// One panel: caps on a logarithmic axis, values on a linear one from 0.
class Panel {
 public:
  Panel(double left, double value_max, std::string title) : left_(left), max_(value_max) {
    out_ = fmt::format("<text class=\"t\" x=\"{}\" y=\"22\">{}</text>\n", left, title);
    for (int i = 0; i <= 4; ++i) {
      const double v = max_ * i / 4;
      out_ += fmt::format(
          "<line class=\"g\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
          "<text class=\"e\" x=\"{3}\" y=\"{4:.1f}\">{5:.0f}</text>\n",
          left_, left_ + kWidth, y(v), left_ - 8, y(v) + 4, v);
    }
    for (const double cap : {1, 2, 4, 8, 16, 32}) {
      out_ += fmt::format("<text class=\"m\" x=\"{:.1f}\" y=\"{}\">{}</text>\n", x(cap),
                          kTop + kHeight + 20, cap);
    }
    out_ += fmt::format("<text class=\"m\" x=\"{}\" y=\"{}\">running cap</text>\n",
                        left_ + kWidth / 2, kTop + kHeight + 40);
  }

  void band(const std::vector<Pair>& pairs, double CapPoint::*value) {
    std::string up, down;
    for (const Pair& p : pairs) {
      up += fmt::format("{:.1f},{:.1f} ", x(p.real.cap), y(p.real.*value * 1.2));
      down = fmt::format("{:.1f},{:.1f} ", x(p.real.cap), y(p.real.*value * 0.8)) + down;
    }
    out_ += fmt::format("<polygon class=\"b\" points=\"{}{}\"/>\n", up, down);
  }
  void line(const std::vector<Pair>& pairs, double CapPoint::*value) {
    std::string points;
    for (const Pair& p : pairs) {
      points += fmt::format("{:.1f},{:.1f} ", x(p.twin.cap), y(p.twin.*value));
    }
    out_ += fmt::format("<polyline class=\"l\" points=\"{}\"/>\n", points);
  }
  void dots(double cap, const std::vector<double>& values, bool fitted) {
    for (const double v : values) {
      out_ += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>\n",
                          fitted ? "f" : "d", x(cap), y(v));
    }
  }
  const std::string& text() const { return out_; }

  static constexpr double kWidth = 360, kHeight = 240, kTop = 40;

 private:
  double x(double cap) const { return left_ + kWidth * (0.04 + 0.92 * std::log2(cap) / 5); }
  double y(double v) const { return kTop + kHeight * (1 - v / max_); }
  double left_, max_;
  std::string out_;
};

constexpr const char* kStyle =
    "<style>text{font:13px system-ui,sans-serif;fill:#59636d}.t{font-weight:600;fill:#1c2126}"
    ".e{text-anchor:end}.m{text-anchor:middle}.g{stroke:#d9dde0}.b{fill:#0072b2;opacity:.12}"
    ".l{fill:none;stroke:#0072b2;stroke-width:2.2}.d{fill:#59636d}.f{fill:#c25100}"
    ".page{fill:#fcfcfa}"
    "@media(prefers-color-scheme:dark){text{fill:#9ba5ad}.t{fill:#e4e7e9}.g{stroke:#2c3237}"
    ".b{fill:#56b4e9;opacity:.18}.l{stroke:#56b4e9}.d{fill:#9ba5ad}.f{fill:#f2894a}"
    ".page{fill:#14171a}}</style>";

std::string figure(const std::vector<Pair>& pairs, const std::vector<double>& caps) {
  double tokens = 0, gap = 0;
  for (const Pair& p : pairs) {
    tokens = std::max({tokens, p.real.tokens_per_s * 1.25, p.twin.tokens_per_s});
    gap = std::max({gap, p.real.gap_ms * 1.25, p.twin.gap_ms});
  }
  Panel left(64, std::ceil(tokens / 100) * 100, "output tokens per second");
  Panel right(514, std::ceil(gap / 20) * 20, "mean gap between tokens, ms");
  left.band(pairs, &CapPoint::tokens_per_s);
  right.band(pairs, &CapPoint::gap_ms);
  left.line(pairs, &CapPoint::tokens_per_s);
  right.line(pairs, &CapPoint::gap_ms);
  for (const Pair& p : pairs) {
    const bool fitted = std::find(caps.begin(), caps.end(), p.real.cap) != caps.end();
    left.dots(p.real.cap, p.real.all_tokens_per_s, fitted);
    right.dots(p.real.cap, p.real.all_gap_ms, fitted);
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 376\" role=\"img\" "
      "aria-label=\"Throughput and mean gap of a real vLLM at eight running caps, and of its "
      "twin\">"
      "{}\n<rect class=\"page\" width=\"900\" height=\"376\"/>\n{}{}"
      "<line class=\"l\" x1=\"64\" x2=\"92\" y1=\"356\" y2=\"356\"/>"
      "<text x=\"98\" y=\"360\">twin (band: the engine's mean and 20 % around it)</text>\n"
      "<circle class=\"f\" cx=\"452\" cy=\"356\" r=\"4\"/>"
      "<text x=\"462\" y=\"360\">vLLM, calibrated on</text>\n"
      "<circle class=\"d\" cx=\"612\" cy=\"356\" r=\"4\"/>"
      "<text x=\"622\" y=\"360\">vLLM, not seen by the twin</text>\n</svg>\n",
      kStyle, left.text(), right.text());
}

int run(const std::string& path, const std::vector<double>& caps) {
  const Fit fitted = calibrated_at(caps);
  std::vector<Pair> pairs;
  fmt::print("calibrated at caps {}: gap off by {:.1f} % there, throughput by {:.1f} %\n",
             fmt::join(caps, " and "), 100 * fitted.gap_error, 100 * fitted.throughput_error);
  for (const Scalar& s : fitted.scalars) {
    fmt::print("  {:<22} {:.4g} ({:.4g} to {:.4g})\n", s.name, s.value, s.low, s.high);
  }
  fmt::print(
      "| cap | tokens/s, engine | twin | off | gap ms, engine | twin | off |\n"
      "|---|---|---|---|---|---|---|\n");
  for (const CapPoint& real : measured(rows())) {
    const CapPoint twin = simulated(fitted.calibration, real.cap);
    const auto off = [](double a, double b) { return 100 * (a / b - 1); };
    fmt::print("| {} | {:.0f} | {:.0f} | {:+.0f} % | {:.1f} | {:.1f} | {:+.0f} % |\n", real.cap,
               real.tokens_per_s, twin.tokens_per_s, off(twin.tokens_per_s, real.tokens_per_s),
               real.gap_ms, twin.gap_ms, off(twin.gap_ms, real.gap_ms));
    pairs.push_back({real, twin});
  }
  std::ofstream file(path, std::ios::binary);
  file << figure(pairs, caps);
  return file.good() ? 0 : 1;
}

}  // namespace
}  // namespace arqon::calibrate::cpu_vllm

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    fmt::print("usage: cpu_vllm_study FIGURE.svg [CAP CAP]\n");
    return 2;
  }
  std::vector<double> caps = {2, 32};
  if (argc == 4) caps = {std::atof(argv[2]), std::atof(argv[3])};
  return arqon::calibrate::cpu_vllm::run(argv[1], caps);
}
