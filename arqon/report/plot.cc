#include "arqon/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>

#include "arqon/report/report.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

constexpr double kTop = 10;

// 1, 2 or 5 times a power of ten, at least `raw`.
double round_up(double raw) {
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::vector<double> linear_ticks(double low, double high, std::size_t wanted) {
  const double step =
      round_up((high - low) / static_cast<double>(std::max<std::size_t>(wanted, 1)));
  std::vector<double> out;
  for (double n = std::ceil(low / step - 1e-9); n * step <= high + step * 1e-9; ++n) {
    out.push_back(n * step + 0.0);  // + 0.0 turns -0 into 0
  }
  return out;
}

// Multiples of powers of ten by `factors` inside [low, high].
std::vector<double> decade_ticks(double low, double high, std::initializer_list<double> factors) {
  std::vector<double> out;
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  for (int e = first; e <= last; ++e) {
    for (const double factor : factors) {
      const double value = factor * std::pow(10, e);
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) out.push_back(value);
    }
  }
  return out;
}

// The coarsest round series with at least three ticks, thinned when it still has far too many.
std::vector<double> log_ticks(double low, double high, std::size_t wanted) {
  std::vector<double> all = decade_ticks(low, high, {1});
  if (all.size() < 3) all = decade_ticks(low, high, {1, 2, 5});
  if (all.size() < 3) all = decade_ticks(low, high, {1, 1.5, 2, 3, 4, 5, 6, 8});
  if (all.size() < 3) return linear_ticks(low, high, 3);
  const std::size_t stride = (all.size() + wanted + 1) / (wanted + 2);
  std::vector<double> out;
  for (std::size_t i = 0; i < all.size(); i += stride) out.push_back(all[i]);
  return out;
}

}  // namespace

double Axis::place(double value) const {
  const double v = std::clamp(value, low, high);
  double position = 0;
  switch (kind) {
    case AxisKind::kLinear:
      position = (v - low) / (high - low);
      break;
    case AxisKind::kLog:
      position = std::log(v / low) / std::log(high / low);
      break;
    case AxisKind::kStretched:
      position = 1 - std::sqrt((high - v) / (high - low));
      break;
  }
  return std::isfinite(position) ? position : 0;
}

std::vector<double> ticks(const Axis& axis, std::size_t wanted) {
  if (!(axis.high > axis.low)) return {axis.low};
  if (axis.kind == AxisKind::kLog) return log_ticks(axis.low, axis.high, wanted);
  if (axis.kind == AxisKind::kLinear) return linear_ticks(axis.low, axis.high, wanted);
  std::vector<double> out;
  double before = 2;
  for (const double v : {1.0, 0.999, 0.99, 0.97, 0.95, 0.9, 0.8, 0.7, 0.5, 0.25, 0.0}) {
    const double place = axis.place(v);
    if (v < axis.low - 1e-9 || before - place < 0.14) continue;
    before = place;
    out.push_back(v);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<double> time_ticks(double end_s, std::size_t most) {
  constexpr double kSteps[] = {1,     2,     5,     10,    15,     30,    60,   120,
                               300,   600,   900,   1200,  1800,   3600,  7200, 10800,
                               14400, 21600, 43200, 86400, 172800, 604800};
  double step = kSteps[std::size(kSteps) - 1];
  for (const double candidate : kSteps) {
    if (end_s / candidate <= static_cast<double>(most)) {
      step = candidate;
      break;
    }
  }
  step = std::max(step, end_s / static_cast<double>(most));
  std::vector<double> out;
  for (double n = 0; n * step <= end_s * (1 + 1e-9); ++n) out.push_back(n * step);
  return out;
}

Axis nice_axis(AxisKind kind, double low, double high) {
  if (!std::isfinite(low) || !std::isfinite(high) || low > high) return {kind, 0.5, 1};
  if (kind == AxisKind::kLog) {
    const double floor = std::max(low, 1e-6);
    return {kind, floor / 1.15, std::max(high, floor * 2) * 1.15};
  }
  if (high - low < 1e-12) high = low + std::max(std::fabs(low) * 0.1, 1e-3);
  const double step = round_up((high - low) / 4);
  return {kind, std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step};
}

std::vector<Point> thin(const std::vector<Point>& points, std::size_t most) {
  if (points.size() <= most || most < 4) return points;
  const std::size_t slices = most / 2;
  std::vector<Point> out;
  out.reserve(most);
  for (std::size_t s = 0; s < slices; ++s) {
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(s * points.size() / slices);
    const auto last =
        points.begin() + static_cast<std::ptrdiff_t>((s + 1) * points.size() / slices);
    const auto less = [](const Point& a, const Point& b) { return a.second < b.second; };
    auto [low, high] = std::minmax_element(first, last, less);
    if (low > high) std::swap(low, high);
    out.push_back(*low);
    if (high != low) out.push_back(*high);
  }
  return out;
}

std::string mark_shape(std::string_view kind) {
  if (kind == "refused") return R"(<path d="M-4 -4L4 4M-4 4L4 -4"/>)";
  if (kind == "reverted") return R"(<path d="M-5 -4H5L0 5Z"/>)";
  if (kind == "confirmed") return R"(<path d="M0 -6L6 0L0 6L-6 0Z"/>)";
  return R"(<circle r="4"/>)";
}

Panel::Panel(double height, double end_s, Axis axis)
    : height_(height), end_s_(std::max(end_s, 1e-9)), axis_(axis) {}

double Panel::x(double t_s) const {
  return kPlotLeft + (kPlotRight - kPlotLeft) * std::clamp(t_s / end_s_, 0.0, 1.0);
}

double Panel::y(double value) const { return kTop + height_ * (1 - axis_.place(value)); }

void Panel::value_ticks(const std::vector<std::pair<double, std::string>>& labels) {
  for (const auto& [value, text] : labels) {
    fmt::format_to(std::back_inserter(body_),
                   R"(<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)"
                   R"(<text class="tick end" x="{}" y="{:.1f}">{}</text>)",
                   kPlotLeft, kPlotRight, y(value), y(value), kPlotLeft - 8, y(value) + 4,
                   escape(text));
  }
}

void Panel::time_labels() {
  bottom_room_ = 26;
  const double base = kTop + height_;
  for (const double t : time_ticks(end_s_)) {
    const std::string clock = clock_text(t);
    const bool seconds = end_s_ < 600;
    const std::string text = seconds ? clock : clock.substr(0, clock.size() - 3);
    fmt::format_to(std::back_inserter(body_),
                   R"(<line class="axis" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>)"
                   R"(<text class="tick mid" x="{0:.1f}" y="{3}">{4}</text>)",
                   x(t), base, base + 4, base + 18, text);
  }
}

void Panel::shift(double t_s, std::string_view text) {
  fmt::format_to(std::back_inserter(body_),
                 R"(<line class="shift" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>)", x(t_s),
                 kTop - 10, kTop + height_);
  if (text.empty()) return;
  const bool right_half = t_s > end_s_ * 0.8;
  fmt::format_to(std::back_inserter(body_),
                 R"(<text class="shift-text{}" x="{:.1f}" y="{}">{}</text>)",
                 right_half ? " end" : "", x(t_s) + (right_half ? -6 : 6), kTop + 8, escape(text));
}

void Panel::polyline(const std::vector<Point>& run, const LineStyle& style) {
  if (run.empty()) return;
  std::string points;
  std::string values;
  for (const auto& [t, v] : run) {
    fmt::format_to(std::back_inserter(points), "{:.1f},{:.1f} ", x(t), y(v));
    fmt::format_to(std::back_inserter(values), "{:.4g} ", v);
  }
  points.pop_back();
  values.pop_back();
  fmt::format_to(
      std::back_inserter(body_),
      R"(<polyline class="line {}" data-n="{}" data-u="{}" data-s="{}" data-v="{}" points="{}"/>)",
      style.css, escape(style.name), style.unit, style.steps ? 1 : 0, values, points);
}

void Panel::line(const std::vector<Point>& points, const LineStyle& style) {
  std::vector<Point> run;
  for (const Point& p : thin(points, kPointsMax)) {
    if (std::isfinite(p.second)) {
      run.push_back(p);
      continue;
    }
    polyline(run, style);
    run.clear();
  }
  polyline(run, style);
}

void Panel::steps(const std::vector<Point>& points, const LineStyle& style, double until_s) {
  const double end = std::min(until_s, end_s_);
  std::vector<Point> corners;
  for (const Point& p : thin(points, kPointsMax / 2)) {
    if (!std::isfinite(p.second)) continue;
    if (!corners.empty()) corners.emplace_back(p.first, corners.back().second);
    corners.push_back(p);
  }
  if (!corners.empty() && corners.back().first < end) {
    corners.emplace_back(end, corners.back().second);
  }
  LineStyle stepped = style;
  stepped.steps = true;
  polyline(corners, stepped);
}

void Panel::area(const std::vector<double>& times, const std::vector<double>& low,
                 const std::vector<double>& high, const LineStyle& style) {
  if (times.empty()) return;
  std::string path;
  std::vector<Point> top;
  for (std::size_t i = 0; i < times.size(); ++i) {
    fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", i == 0 ? "M" : "L", x(times[i]),
                   y(high[i]));
  }
  for (std::size_t i = times.size(); i-- > 0;) {
    fmt::format_to(std::back_inserter(path), "L{:.1f} {:.1f}", x(times[i]), y(low[i]));
  }
  std::string values;
  std::string points;
  for (std::size_t i = 0; i < times.size(); ++i) {
    fmt::format_to(std::back_inserter(values), "{:.4g} ", high[i] - low[i]);
    fmt::format_to(std::back_inserter(points), "{:.1f},{:.1f} ", x(times[i]), y(high[i]));
  }
  values.pop_back();
  points.pop_back();
  fmt::format_to(
      std::back_inserter(body_),
      R"(<path class="area {0}" d="{1}Z"/>)"
      R"(<polyline class="line {0}" data-n="{2}" data-u="{3}" data-v="{4}" points="{5}"/>)",
      style.css, path, escape(style.name), style.unit, values, points);
}

void Panel::level(double value, std::string_view css, std::string_view label) {
  if (label.empty()) {
    fmt::format_to(std::back_inserter(body_),
                   R"(<line class="level {}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", css,
                   kPlotLeft, kPlotRight, y(value), y(value));
    return;
  }
  fmt::format_to(std::back_inserter(body_),
                 R"(<line class="level {}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)"
                 R"(<text class="level-text {}" x="{}" y="{:.1f}">{}</text>)",
                 css, kPlotLeft, kPlotRight, y(value), y(value), css, kPlotRight - 4, y(value) - 5,
                 escape(label));
}

void Panel::mark(double t_s, double value, const MarkStyle& style, std::string_view title) {
  fmt::format_to(
      std::back_inserter(body_),
      R"svg(<g class="mark {}" transform="translate({:.1f} {:.1f}){}"><title>{}</title>{}</g>)svg",
      style.kind, x(t_s), y(value), style.small ? " scale(.55)" : "", escape(title),
      mark_shape(style.kind));
}

std::string Panel::svg(std::string_view label) const {
  const double total = kTop + height_ + bottom_room_;
  return fmt::format(R"(<svg viewBox="0 0 {} {}" role="img" aria-label="{}">)"
                     R"(<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>{}</svg>)",
                     kPanelWidth, total, escape(label), kPlotLeft, kPlotRight, kTop + height_,
                     kTop + height_, body_);
}

}  // namespace arqon::report
