#include "arqon/report/knob_path.h"

#include <gtest/gtest.h>

#include <string>

namespace arqon::report {
namespace {

using control::ChangeState;

Parameter cap() {
  Parameter p;
  p.name = "main.cap";
  return p;
}

control::ChangeRecord change(double t, const std::string& address, double from, double to,
                             ChangeState state = ChangeState::kApplied) {
  return {t, 1, address, from, to, "experiment", state, ""};
}

TEST(ReachOf, tells_fleet_from_replica_from_another_knob) {
  EXPECT_EQ(reach_of("main.cap", cap()), Reach::kFleet);
  EXPECT_EQ(reach_of("main/12.cap", cap()), Reach::kReplica);
  EXPECT_EQ(reach_of("main/12.capacity", cap()), Reach::kOther);
  EXPECT_EQ(reach_of("main.capacity", cap()), Reach::kOther);
  EXPECT_EQ(reach_of("other/1.cap", cap()), Reach::kOther);
  EXPECT_EQ(reach_of("", cap()), Reach::kOther);
  Parameter one = cap();
  one.name = "main/12.cap";
  EXPECT_EQ(reach_of("main/12.cap", one), Reach::kFleet);
  EXPECT_EQ(reach_of("main/1.cap", one), Reach::kOther);
}

TEST(FleetPath, a_trial_on_one_replica_does_not_move_the_fleet) {
  control::RunRecord record;
  record.changes = {change(10, "main/1.cap", 64, 48),
                    change(20, "main/1.cap", 48, 32),
                    change(30, "main.cap", 32, 64, ChangeState::kReverted),
                    change(40, "main/0.cap", 64, 80),
                    change(50, "main.cap", 64, 80),
                    change(50, "main.cap", 64, 80, ChangeState::kConfirmed),
                    change(60, "main.cap", 80, 900, ChangeState::kRefused)};
  EXPECT_EQ(fleet_path(record, cap(), 0), (std::vector<Point>{{0, 64}, {50, 80}}));
  EXPECT_EQ(replica_paths(record, cap()),
            (std::vector<std::vector<Point>>{{{10, 64}, {10, 48}, {20, 32}, {30, 32}},
                                             {{40, 64}, {40, 80}, {50, 80}}}));
}

TEST(FleetPath, a_run_without_changes_is_told_by_its_windows) {
  control::RunRecord record;
  for (const double value : {7.0, 7.0, 9.0}) {
    control::WindowRecord w;
    w.t_s = 15 * static_cast<double>(record.windows.size() + 1);
    w.values = {1, value};
    record.windows.push_back(w);
  }
  EXPECT_EQ(fleet_path(record, cap(), 1), (std::vector<Point>{{0, 7}, {45, 9}}));
  EXPECT_TRUE(fleet_path(record, cap(), 2).empty());
  EXPECT_TRUE(replica_paths(record, cap()).empty());
}

TEST(ReplicaPaths, a_trial_that_the_end_of_the_run_cut_lasts_until_then) {
  control::RunRecord record;
  record.changes = {change(10, "main/1.cap", 64, 48)};
  record.windows.resize(1);
  record.windows[0].t_s = 100;
  EXPECT_EQ(replica_paths(record, cap()).front().back(), Point(100, 48));
}

}  // namespace
}  // namespace arqon::report
