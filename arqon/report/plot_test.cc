#include "arqon/report/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "arqon/report/run_series.h"

namespace arqon::report {
namespace {

TEST(Axis, places_its_ends_at_the_borders_and_clamps_beyond) {
  for (const AxisKind kind : {AxisKind::kLinear, AxisKind::kLog, AxisKind::kStretched}) {
    const Axis axis{kind, 0.5, 1};
    EXPECT_NEAR(axis.place(0.5), 0, 1e-12);
    EXPECT_NEAR(axis.place(1), 1, 1e-12);
    EXPECT_NEAR(axis.place(7), 1, 1e-12);
    EXPECT_NEAR(axis.place(-1), 0, 1e-12);
    EXPECT_LT(axis.place(0.6), axis.place(0.7));
  }
}

TEST(Axis, stretched_spreads_the_last_percent) {
  const Axis stretched{AxisKind::kStretched, 0, 1};
  EXPECT_NEAR(stretched.place(0.99), 0.9, 1e-12);
}

TEST(Ticks, lie_inside_and_ascend) {
  const Axis axes[] = {{AxisKind::kLinear, 0, 47},
                       {AxisKind::kLog, 0.3, 90000},
                       {AxisKind::kLog, 90, 260},
                       {AxisKind::kStretched, 0.7, 1},
                       {AxisKind::kStretched, 0.99, 1}};
  for (const Axis& axis : axes) {
    const std::vector<double> at = ticks(axis);
    ASSERT_GE(at.size(), 2u);
    EXPECT_LE(at.size(), 9u);
    EXPECT_TRUE(std::is_sorted(at.begin(), at.end()));
    EXPECT_GE(at.front(), axis.low * (1 - 1e-9));
    EXPECT_LE(at.back(), axis.high * (1 + 1e-9));
  }
}

TEST(Ticks, of_time_are_round_and_few) {
  EXPECT_EQ(time_ticks(7200),
            (std::vector<double>{0, 900, 1800, 2700, 3600, 4500, 5400, 6300, 7200}));
  for (const double end : {1.0, 59.0, 86400.0, 3e7}) EXPECT_LE(time_ticks(end).size(), 10u);
}

TEST(Axis, nice_axis_holds_the_data_even_when_it_is_flat) {
  const Axis flat = nice_axis(AxisKind::kLinear, 5, 5);
  EXPECT_LE(flat.low, 5);
  EXPECT_GT(flat.high, 5);
  const Axis log = nice_axis(AxisKind::kLog, 0, 100);
  EXPECT_GT(log.low, 0);
}

TEST(Thin, keeps_extremes_and_order) {
  std::vector<Point> points;
  for (int i = 0; i < 10000; ++i) points.emplace_back(i, std::sin(i * 0.01));
  points[5003].second = 40;
  points[7001].second = -40;
  const std::vector<Point> few = thin(points, 600);
  EXPECT_LE(few.size(), 600u);
  const auto less = [](const Point& a, const Point& b) { return a.second < b.second; };
  EXPECT_EQ(std::max_element(few.begin(), few.end(), less)->second, 40);
  EXPECT_EQ(std::min_element(few.begin(), few.end(), less)->second, -40);
  EXPECT_TRUE(std::is_sorted(few.begin(), few.end()));
}

TEST(Panel, a_gap_in_the_data_is_a_gap_in_the_line) {
  Panel panel(100, 10, {AxisKind::kLinear, 0, 1});
  const double none = std::numeric_limits<double>::quiet_NaN();
  panel.line({{0, 0.1}, {1, 0.2}, {2, none}, {3, 0.3}}, {"c0", "x"});
  const std::string svg = panel.svg("x");
  const std::size_t first = svg.find("<polyline");
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(svg.find("<polyline", first + 1), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(MergeWindows, keeps_every_request_and_the_highest_quantile) {
  control::RunRecord record;
  for (int i = 1; i <= 1000; ++i) {
    control::WindowRecord w;
    w.t_s = i;
    w.seconds = 1;
    w.classes.resize(1);
    w.classes[0].arrived = 3;
    w.classes[0].good = 2;
    w.classes[0].ttft_ms_p99 = i == 500 ? 900 : 10;
    record.windows.push_back(w);
  }
  const std::vector<Bucket> buckets = merge_windows(record, 1, 1000, 100);
  ASSERT_EQ(buckets.size(), 100u);
  double arrived = 0;
  double top = 0;
  for (const Bucket& b : buckets) {
    arrived += b.classes[0].arrived;
    top = std::max(top, b.classes[0].ttft_ms_p99);
    EXPECT_NEAR(b.seconds, 10, 1e-9);
  }
  EXPECT_EQ(arrived, 3000);
  EXPECT_EQ(top, 900);
  EXPECT_EQ(merge_windows(record, 1, 1000, 2000).size(), 1000u);
}

}  // namespace
}  // namespace arqon::report
