// One engine's page as the tuner uses it: what is in force, commands and their acknowledgement, the
// confirmed set here and on disk, the lease. docs/formats/vllm-page.md has the rules.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arqon/adapters/vllm/page.h"
#include "arqon/adapters/vllm/watch.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"

namespace arqon::adapters::vllm {

struct SteeringOptions {
  std::filesystem::path page;
  std::filesystem::path state;  // folder; empty: where the engine's own environment says
  bool container = false;       // process ids of the engine mean nothing here
};

// What the engine wrote about itself into identity.json.
struct EngineIdentity {
  serving::Identity identity;
  std::string vllm;
  bool supported = false;
  std::string why;
};

using Change = std::pair<Slot, std::int64_t>;

// One thread.
class Steering {
 public:
  // kUnavailable when no engine reports on the page: none was started with the plugin, or it has
  // gone. The message says what to do.
  static Result<Steering> open(SteeringOptions options);

  // Looks at the page again; makes it anew when it has gone. The figures of the last good look stay
  // where this one was torn.
  void read();
  // The last look was whole.
  bool readable() const { return trouble_.empty(); }
  const std::string& trouble() const { return trouble_; }
  // The engine's process is there.
  bool alive() const;

  const Report& rank() const { return reports_[0]; }
  std::optional<Report> api() const;
  // All ranks together.
  Look::Scheduler scheduler() const;
  double kv_use() const;
  std::int64_t start_ns() const;
  const EngineIdentity& identity() const { return identity_; }

  struct InForce {
    Values values{};
    bool acknowledged = true;
  };
  InForce in_force(TimePoint now) const;

  // Writes a command: what is in force with these changes.
  void command(const std::vector<Change>& changes);
  enum class Ack { kYes, kNotYet, kRestarted };
  // As of the last look, of the last command.
  Ack ack() const;

  // In force becomes confirmed: on the disk first, then on the page. `tuned`: slots that are given
  // in any case. kUnavailable when the disk says no; the page then keeps the former set.
  Status confirm(const std::vector<Slot>& tuned, TimePoint now);
  void renew(TimePoint deadline);
  TimePoint lease() const;

  // What makes this another engine than was qualified; empty when it is the same.
  std::string changed() const;
  // The engine as it is now is the one we speak to. kUnavailable when its identity cannot be read.
  Status qualify();

 private:
  Steering(SteeringOptions options, Page page);
  Status reopen();
  void read_reports();
  void settle_pending();
  bool counts(const Report& report) const;
  // Finds the state folder whose identity.json is that of the page.
  Status read_identity();
  std::vector<std::filesystem::path> folders_by_environment() const;
  const Block* given(std::int64_t epoch) const;
  std::int64_t next_epoch() const;

  SteeringOptions options_;
  Page page_;
  std::string trouble_;
  std::array<Report, kReports> reports_{};
  Block command_, confirmed_;  // as last written or found
  bool pending_ = false;       // command_ is not acknowledged
  std::int64_t lease_ns_ = 0;
  std::int64_t start_at_command_ns_ = 0;
  EngineIdentity identity_;
  std::filesystem::path folder_;
  std::optional<Report> qualified_;  // rank 0 as it was
};

}  // namespace arqon::adapters::vllm
