// A replayed engine for the battery (testing/engine_suite.h): an HTTP server with traffic that is
// nothing but counters, and the faults that all of them share.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/adapters/adapter.h"
#include "arqon/os/process.h"
#include "arqon/testing/engine_suite.h"
#include "arqon/testing/replay_server.h"

namespace arqon::adapters {

using arqon::testing::Fault;
using arqon::testing::ReplayAnswer;
using arqon::testing::ReplayFault;
using arqon::testing::ReplayRequest;
using arqon::testing::ReplayServer;

// Finished requests as an engine's histograms hold them.
struct ReplayTraffic {
  std::vector<double> bounds = {0.1, 0.2, 0.4, 1, 10};
  std::vector<double> ttft, tpot, e2e;  // seconds
  double tokens = 0, prompt_tokens = 0, failed = 0;
  int starts = 1;

  void serve(int times, double ttft_s = 0.05, double e2e_s = 0.3, double tpot_s = 0.02) {
    for (int i = 0; i < times; ++i) {
      ttft.push_back(ttft_s);
      tpot.push_back(tpot_s);
      e2e.push_back(e2e_s);
      tokens += 12;
      prompt_tokens += 100;
    }
  }
  void restart() { *this = {.bounds = bounds, .starts = starts + 1}; }

  std::string histogram(const std::string& name, const std::string& labels,
                        const std::vector<double>& samples) const {
    std::string out = fmt::format("# TYPE {} histogram\n", name);
    double sum = 0;
    for (const double sample : samples) sum += sample;
    for (const double b : bounds) {
      const auto below =
          std::count_if(samples.begin(), samples.end(), [&](double sample) { return sample <= b; });
      out += fmt::format("{}_bucket{{le=\"{}\",{}}} {}\n", name, b, labels, below);
    }
    return out + fmt::format(
                     "{0}_bucket{{le=\"+Inf\",{1}}} {2}\n{0}_sum{{{1}}} {3}\n"
                     "{0}_count{{{1}}} {2}\n",
                     name, labels, samples.size(), sum);
  }
};

class ScrapedRig : public arqon::testing::Rig {
 public:
  ScrapedRig() : server_([this](const ReplayRequest& request) { return handle(request); }) {}
  ~ScrapedRig() override { server_.stop(); }

  serving::Engine& engine() override { return *engine_; }
  Clock& clock() override { return clock_; }
  std::string_view kind() const override { return "replayed"; }
  std::set<Fault> supports() const override {
    return {Fault::kNoEffect,     Fault::kClamp,   Fault::kRefuse,     Fault::kCounterReset,
            Fault::kOtherFlags,   Fault::kHang,    Fault::kDown,       Fault::kNoTokens,
            Fault::kLessCapacity, Fault::kGarbage, Fault::kHalfWritten};
  }
  std::string why_not(Fault) const override {
    return "it takes a setting whether or not there are requests";
  }
  Duration patience() const override { return std::chrono::seconds(3); }

  Status drive(int requests) override {
    const std::lock_guard lock(mutex_);
    if (faults_.contains(Fault::kNoTokens)) {
      traffic_.e2e.insert(traffic_.e2e.end(), static_cast<std::size_t>(requests), 0.01);
    } else {
      traffic_.serve(requests);
    }
    return {};
  }
  Status inject(Fault fault) override {
    if (fault == Fault::kDown) server_.stop();
    const std::lock_guard lock(mutex_);
    if (fault == Fault::kCounterReset) {
      begin();
    } else {
      faults_.insert(fault);
    }
    if (fault == Fault::kOtherFlags || fault == Fault::kLessCapacity) begin();
    return {};
  }
  Status heal(Fault fault) override {
    {
      const std::lock_guard lock(mutex_);
      if (fault == Fault::kOtherFlags) return {};
      faults_.erase(fault);
      if (fault == Fault::kLessCapacity) begin();
    }
    if (fault == Fault::kDown) server_.restart();
    return {};
  }
  std::optional<std::uint64_t> writes() override {
    const std::lock_guard lock(mutex_);
    return writes_;
  }

  ReplayServer& server() { return server_; }
  ReplayTraffic& traffic() { return traffic_; }

 protected:
  // Under the lock. What the engine answers when it is well but for the faults in faults_.
  virtual ReplayAnswer answer(const ReplayRequest& request) = 0;
  // Its values are those of its start again.
  virtual void boot() = 0;
  virtual bool is_health(const ReplayRequest& request) const { return request.path == "/health"; }
  virtual bool is_metrics(const ReplayRequest& request) const { return request.path == "/metrics"; }

  void begin() {
    traffic_.restart();
    boot();
  }
  bool broken(Fault fault) const { return faults_.contains(fault); }

  std::mutex mutex_;
  std::set<Fault> faults_;
  ReplayTraffic traffic_;
  std::uint64_t writes_ = 0;
  os::SystemClock clock_;
  std::unique_ptr<serving::Engine> engine_;

 private:
  ReplayAnswer handle(const ReplayRequest& request) {
    const std::lock_guard lock(mutex_);
    if (is_health(request)) return {.body = "{}"};
    if (broken(Fault::kHang)) return {.fault = ReplayFault::kNeverAnswer};
    ReplayAnswer out = answer(request);
    if (!is_metrics(request)) return out;
    if (broken(Fault::kGarbage)) out.body = "<html>it works!</html>\n";
    if (broken(Fault::kHalfWritten)) out.body.resize(out.body.size() / 2 + 3);
    return out;
  }

  ReplayServer server_;
};

inline wire::Value parsed(std::string_view text) {
  auto value = wire::parse_json(text);
  if (!value) ADD_FAILURE() << value.error().message << ": " << text;
  return value ? *value : wire::Value();
}

inline Parameter int_knob(std::string name, double min, double max) {
  return {.name = std::move(name), .type = ParamType::kInt, .min = min, .max = max};
}

}  // namespace arqon::adapters
