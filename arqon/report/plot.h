// One plot panel as inline SVG. All panels share width and margins, so that their time axes line up
// when they stand one below the other.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace arqon::report {

constexpr double kPanelWidth = 1080;
constexpr double kPlotLeft = 68;
constexpr double kPlotRight = 1064;

// kStretched spreads the top of a share: y goes with the square root of 1 - value, so that 99 % and
// 99.9 % can be told apart while 0 % is still on the page. kSqrt/kLog as usual.
enum class AxisKind { kLinear, kLog, kStretched };

// A value axis. Values outside [low, high] are drawn at the border.
struct Axis {
  AxisKind kind = AxisKind::kLinear;
  double low = 0;
  double high = 1;

  // Position in [0, 1] from bottom to top.
  double place(double value) const;
};

// Round tick values inside [low, high], about `wanted` of them, ascending.
std::vector<double> ticks(const Axis& axis, std::size_t wanted = 4);
// Round times from 0 to end_s, at most `most`.
std::vector<double> time_ticks(double end_s, std::size_t most = 9);
// The smallest axis with round ends that holds [low, high].
Axis nice_axis(AxisKind kind, double low, double high);

// A point of a line: time in seconds and value; a non-finite value breaks the line.
using Point = std::pair<double, double>;

// How a line is drawn: CSS classes of style.cc, the name a read-out shows, and its unit
// ("percent", "ms", "dollars", "number").
struct LineStyle {
  std::string css;
  std::string name;
  std::string unit = "number";
  bool steps = false;  // set by Panel::steps
};

// kind: "applied", "refused", "reverted", "confirmed".
struct MarkStyle {
  std::string_view kind;
  bool small = false;
};

class Panel {
 public:
  // height: of the plot itself in px, without the room for time labels.
  Panel(double height, double end_s, Axis axis);

  // Labelled horizontal grid lines.
  void value_ticks(const std::vector<std::pair<double, std::string>>& labels);
  void time_labels();
  // A vertical line over the whole height where the traffic shifts; text only where not empty.
  void shift(double t_s, std::string_view text);
  // Joined points; thinned to report.h's kPointsMax by keeping lowest and highest per slice.
  void line(const std::vector<Point>& points, const LineStyle& style);
  // Steps: a value holds until the next point, the last one until `until_s`, as a rule the end.
  void steps(const std::vector<Point>& points, const LineStyle& style, double until_s = 1e300);
  // The region between two lines over the same times.
  void area(const std::vector<double>& times, const std::vector<double>& low,
            const std::vector<double>& high, const LineStyle& style);
  // A target or limit across the whole width; no text where `label` is empty.
  void level(double value, std::string_view css, std::string_view label);
  // A change mark; `title` shows on hover.
  void mark(double t_s, double value, const MarkStyle& style, std::string_view title);

  // The <svg> element; `label` says for screen readers what it shows.
  std::string svg(std::string_view label) const;

 private:
  double x(double t_s) const;
  double y(double value) const;
  void polyline(const std::vector<Point>& run, const LineStyle& style);

  double height_;
  double end_s_;
  Axis axis_;
  double bottom_room_ = 6;
  std::string body_;
};

// At most `most` points: per slice of equal count the lowest and the highest value, in time order.
std::vector<Point> thin(const std::vector<Point>& points, std::size_t most);

// The shape of a change mark around (0, 0), for panels and legends.
std::string mark_shape(std::string_view kind);

}  // namespace arqon::report
