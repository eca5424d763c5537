// What the agent has done and what it stands for, on the disk: FOLDER/agent.journal (one JSON
// object a line, only appended to) and FOLDER/confirmed.json. Format: docs/reference/agent.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/os/disk.h"
#include "arqon/serving/engine.h"
#include "arqon/space/space.h"
#include "arqon/wire/json.h"

namespace arqon::agent {

// The set that returns: values, and what they were proven on.
struct Confirmed {
  std::vector<std::string> knobs;  // names, in the order of values
  Config values;
  serving::Identity identity;
  std::string evidence;          // in words, from the tuner
  std::string at;                // wall time, ISO 8601
  std::uint64_t generation = 0;  // of the change that was confirmed
  std::uint64_t epoch = 0;       // of the engine, as its adapter counts; for the record
};

// What a folder tells about the agent before.
struct Found {
  std::uint64_t generation = 0;  // greatest seen
  bool released = false;         // the last tuner was done and nothing is open since
  bool open = false;             // a write was begun and neither confirmed nor taken back
  std::uint64_t damaged = 0;     // lines that make no sense; they count as a write begun
  std::optional<Confirmed> confirmed;
};

// One thread. Everything is on the disk when a call returns; when a call fails nothing may be
// written to the engine but what was confirmed.
class Journal {
 public:
  // kUnavailable when the folder cannot be read or written; kInvalidConfig when there is a
  // confirmed set that cannot be read, neither from its file nor from the journal.
  static Result<Journal> open(std::shared_ptr<os::Disk> disk, const std::filesystem::path& folder);
  const Found& found() const { return found_; }

  Status intent(std::uint64_t generation, const Config& values, int replica,
                std::string_view action);
  Status outcome(std::uint64_t generation, const Result<Config>& effective);
  // The journal begins anew when it has grown: what went before no longer matters.
  Status confirm(const Confirmed& confirmed);
  // The confirmed set is in force again.
  Status restored(std::uint64_t generation);
  Status note(std::string_view event, std::string_view text);

  // Called before each step that changes the disk; for tests that end the process there.
  std::function<void(std::string_view step)> at_step;

 private:
  Journal(std::shared_ptr<os::Disk> disk, std::filesystem::path folder,
          std::unique_ptr<os::DiskFile> file, Found found);
  Status append(std::string_view step, wire::Object line);

  std::shared_ptr<os::Disk> disk_;  // the agent's too
  std::filesystem::path folder_;
  std::unique_ptr<os::DiskFile> file_;
  Found found_;
  std::uint64_t bytes_ = 0;
};

// As the file and the journal hold it.
wire::Object confirmed_object(const Confirmed& confirmed);
std::optional<Confirmed> read_confirmed(const wire::Value& value);

}  // namespace arqon::agent
