#include "arqon/report/knob_path.h"

#include <algorithm>

namespace arqon::report {
namespace {

bool moved(const control::ChangeRecord& change) {
  return change.state == control::ChangeState::kApplied ||
         change.state == control::ChangeState::kReverted;
}

std::vector<Point> window_path(const control::RunRecord& record, std::size_t slot) {
  std::vector<Point> path;
  for (const control::WindowRecord& w : record.windows) {
    if (slot >= w.values.size()) continue;
    const double value = w.values[slot];
    if (path.empty()) {
      path.emplace_back(0, value);
    } else if (path.back().second != value) {
      path.emplace_back(w.t_s, value);
    }
  }
  return path;
}

}  // namespace

Reach reach_of(std::string_view address, const Parameter& knob) {
  const std::string_view name = knob.name;
  if (address == name) return Reach::kFleet;
  // A simplex adds its part after the name.
  if (knob.type == ParamType::kSimplex && address.starts_with(name)) return Reach::kFleet;
  const std::size_t slash = address.find('/');
  const std::size_t dot = address.find('.', slash == std::string_view::npos ? 0 : slash);
  if (slash == std::string_view::npos || dot == std::string_view::npos) return Reach::kOther;
  const bool same = name.size() == slash + address.size() - dot &&
                    name.starts_with(address.substr(0, slash)) &&
                    name.ends_with(address.substr(dot));
  return same ? Reach::kReplica : Reach::kOther;
}

std::vector<Point> fleet_path(const control::RunRecord& record, const Parameter& knob,
                              std::size_t slot) {
  if (knob.type == ParamType::kSimplex) return window_path(record, slot);
  std::vector<Point> path;
  bool changed = false;
  for (const control::ChangeRecord& c : record.changes) {
    const Reach reach = moved(c) ? reach_of(c.address, knob) : Reach::kOther;
    if (reach == Reach::kOther) continue;
    changed = true;
    // Whatever was touched first was found at this value.
    if (path.empty()) path.emplace_back(0, c.from);
    if (reach == Reach::kFleet && path.back().second != c.to) path.emplace_back(c.t_s, c.to);
  }
  return changed ? path : window_path(record, slot);
}

std::vector<std::vector<Point>> replica_paths(const control::RunRecord& record,
                                              const Parameter& knob) {
  std::vector<std::vector<Point>> paths;
  bool open = false;
  for (const control::ChangeRecord& c : record.changes) {
    if (c.state == control::ChangeState::kRefused) continue;
    const Reach reach = reach_of(c.address, knob);
    if (reach == Reach::kReplica && c.state == control::ChangeState::kApplied) {
      if (!open) paths.push_back({{c.t_s, c.from}});
      open = true;
      paths.back().emplace_back(c.t_s, c.to);
    } else if (reach != Reach::kOther && open) {
      paths.back().emplace_back(c.t_s, paths.back().back().second);
      open = false;
    }
  }
  if (open && !record.windows.empty()) {
    const double end = std::max(record.windows.back().t_s, paths.back().back().first);
    paths.back().emplace_back(end, paths.back().back().second);
  }
  return paths;
}

}  // namespace arqon::report
