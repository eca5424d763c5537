// The parts of a scenario that have readers and writers of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "arqon/documents/internal/reader.h"
#include "arqon/documents/scenario.h"

namespace arqon::documents::internal {

// True for names made of letters, digits, '.', '_' and '-' that do not begin with '.': they become
// folders, addresses and metric names.
bool plain_name(std::string_view name, bool dots);

// Calibrations that a pool names are read relative to `folder`.
sim::FleetSpec read_fleet(const Node& node, const std::filesystem::path& folder);
wire::Object fleet_object(const sim::FleetSpec& fleet);
// Of a fleet whose pools have been read.
sim::RouterSpec read_router(const Node& node, const sim::FleetSpec& fleet);
std::vector<sim::FleetEvent> read_events(const Node& node, const sim::FleetSpec& fleet);
wire::Object router_object(const sim::RouterSpec& router);
wire::Array events_array(const std::vector<sim::FleetEvent>& events);
// The option of the engine that a knob of this name stands for, where the document states it.
std::optional<double> engine_option(const sim::EngineSpec& engine, std::string_view name);
// Those that are up and those that may come up.
std::size_t replicas_in_all(const sim::FleetSpec& fleet);

// One workload or a list of them; `classes` are the class names of the scenario.
std::vector<workload::Spec> read_workloads(const Node& node,
                                           const std::vector<std::string>& classes,
                                           double duration_s);
// What moves the traffic of a workload beside its source: retries, diurnal, spikes, sessions.
void read_traffic(const Section& section, workload::Spec& spec);
void append_traffic(const workload::Spec& spec, wire::Object& out);
wire::Value workloads_value(const std::vector<workload::Spec>& workloads);

// "knobs": fills scenario.knobs and scenario.protective. A knob that says no default takes the
// engine option of its pool where that is stated.
void read_knobs(const Node& node, Scenario& scenario);
wire::Object knobs_object(const Scenario& scenario);
Protective read_protective(const Node& node);

// "target" and "agent"; scenario.target_engine first.
void read_target(const Section& root, Scenario& scenario);
// "knobs" and "guardrails" of a live engine: kept as written, checked as far as they can be without
// the engine; scenario.knobs and scenario.guardrails are filled when nothing is left out.
void read_live_knobs(const Section& root, Scenario& scenario);

}  // namespace arqon::documents::internal
