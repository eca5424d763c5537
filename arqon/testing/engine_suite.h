// The battery that every serving::Engine passes: the twin, every adapter, real or replayed.
//
// An engine's test implements Rig and says ARQON_ENGINE_SUITE(Vllm, make_rig); each check is then a
// test of its own, EngineSuite.holds/NAME. A fault that the rig cannot cause is skipped by name
// with its reason. run_engine_checks gives the findings as values; a deliberately lying engine
// proves in engine_suite_test.cc that each lie is found.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"

namespace arqon::testing {

// What a rig can do to its engine. inject() makes it so until heal(); both end when it is so.
enum class Fault : std::uint8_t {
  kIdle,          // no requests: a write is not looked at until the next one; heal: requests again
  kNoEffect,      // writes are answered with yes and do nothing
  kClamp,         // fault_knob() asked to its maximum ends up with less
  kRefuse,        // writes are refused
  kCounterReset,  // restarted as it was: counters begin again (over when inject returns)
  kOtherFlags,    // restarted as another version, model or with other flags that still allow every
                  // value of the domain; heal: nothing
  kLessCapacity,  // restarted with a capacity below the domain of fault_knob(); heal: as it was
  kHang,          // health answers 200, nothing else answers
  kDown,          // nobody answers; heal: started again as it was
  kNoTokens,      // requests that drive() sends end in success without a single token
  kGarbage,       // telemetry answers with something else
  kHalfWritten,   // telemetry ends in the middle
};
std::string_view to_string(Fault fault);
const std::vector<Fault>& all_faults();

// An engine attached to something, and hands on that something. Times are of clock().
class Rig {
 public:
  virtual ~Rig() = default;
  virtual serving::Engine& engine() = 0;
  virtual Clock& clock() = 0;  // the one the engine was attached with
  // "real", "replayed" (answers recorded or shaped after public sources) or "simulated".
  virtual std::string_view kind() const = 0;
  // Sends `requests` requests (of class 0, good unless a fault says otherwise) and returns when
  // they have ended; to all replicas alike.
  virtual Status drive(int requests) = 0;

  virtual std::set<Fault> supports() const = 0;
  // Why a fault is not supported, for the line that says it was skipped.
  virtual std::string why_not(Fault) const { return "this rig cannot cause it"; }
  virtual Status inject(Fault fault) = 0;
  virtual Status heal(Fault fault) = 0;

  // The knob that faults speak of; its domain has at least two values.
  virtual std::size_t fault_knob() const { return 0; }
  // How far a value in force may lie from the one asked for, where the engine has a coarser grid.
  virtual double tolerance(std::size_t knob) const;
  // How many requests at least one replica needs for its share to be seen.
  virtual int requests_per_replica() const { return 8; }
  // The most any call of the engine may take, apply with its knob's apply_cost on top.
  virtual Duration deadline() const { return std::chrono::seconds(5); }
  // How long after its cause an observation may come.
  virtual Duration patience() const { return std::chrono::seconds(10); }

  // Ground truth beside the adapter, where the rig has it: the values really in force, and how
  // often the engine was told to change anything.
  virtual std::optional<Config> truth() { return std::nullopt; }
  virtual std::optional<std::uint64_t> writes() { return std::nullopt; }
};

// kUnavailable: there is nothing to attach to here, and the message says why (skipped). May hand
// out the same rig again: a check heals what it injected and goes back to the values at attach.
using RigMaker = std::function<Result<std::shared_ptr<Rig>>()>;

class Findings {
 public:
  void add(std::string text) { texts_.push_back(std::move(text)); }
  const std::vector<std::string>& texts() const { return texts_; }
  bool empty() const { return texts_.empty(); }

 private:
  std::vector<std::string> texts_;
};

struct EngineCheck {
  std::string_view name;
  std::optional<Fault> needs;
  void (*run)(Rig& rig, Findings& findings);
};
const std::vector<EngineCheck>& engine_checks();
// Why this rig leaves the check out; nothing when it runs.
std::optional<std::string> skipped(const Rig& rig, const EngineCheck& check);
// Everything the rig supports, one finding per broken promise with the check's name in front.
Findings run_engine_checks(const RigMaker& make);

struct EngineSuiteCase {
  RigMaker make;
  EngineCheck check;
};
std::vector<EngineSuiteCase> engine_suite_cases(const RigMaker& make);
inline void PrintTo(const EngineSuiteCase& one, std::ostream* out) { *out << one.check.name; }

class EngineSuite : public ::testing::TestWithParam<EngineSuiteCase> {};
std::string engine_check_name(const ::testing::TestParamInfo<EngineSuiteCase>& info);

}  // namespace arqon::testing

#define ARQON_ENGINE_SUITE(name, maker)                                                      \
  using ::arqon::testing::EngineSuite;                                                       \
  INSTANTIATE_TEST_SUITE_P(name, EngineSuite,                                                \
                           ::testing::ValuesIn(::arqon::testing::engine_suite_cases(maker)), \
                           ::arqon::testing::engine_check_name)
