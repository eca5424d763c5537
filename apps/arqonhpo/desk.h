// Where the person in charge reaches a running tuner: the socket STATE/control.sock for the verbs,
// the file STATE/freeze, and STATE/status.json for whoever looks when nobody answers.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/control/run_record.h"
#include "arqon/control/supervisor.h"
#include "arqon/os/socket.h"
#include "arqon/space/space.h"
#include "arqon/wire/json.h"

namespace arqon::app {

// What the status says beside the loop's own words.
struct DeskFacts {
  std::string scenario;
  std::string engine;  // name and version
  std::string mode;
  Space knobs{{}};
};

// The loop's calls are quick and come from its thread. The socket is served by a thread of its own,
// so that a caller who dawdles never holds up the loop, and a loop that waits for its engine still
// shows its status; a verb waits for the loop's next look before it says what it did.
class Desk final : public control::Supervisor {
 public:
  // kConflict when another process serves that folder, kUnavailable when it cannot.
  static Result<std::unique_ptr<Desk>> open(const std::filesystem::path& folder, DeskFacts facts);
  ~Desk() override;
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  bool frozen() override;
  bool paused() override;
  bool take_rollback() override;
  control::Answer answer(std::uint64_t decision) override;
  void report(const control::LoopStatus& status) override;
  // The newest window, for the status.
  void window(const control::WindowRecord& window);

  // One request of the socket, answered as text; a request that makes no sense is answered too.
  std::string answer_line(std::string_view line);

 private:
  Desk(std::filesystem::path folder, DeskFacts facts, os::UnixListener listener);

  struct Outcome {
    std::string did;
    std::optional<Error> error;
  };
  Outcome act(const std::string& verb, const wire::Value& request);
  Outcome freeze();
  Outcome resume();
  Outcome pause();
  Outcome roll_back();
  Outcome decide(const wire::Value& request, control::Answer answer);
  // Waits until the loop has looked after now, within a patience; false when it has not.
  bool await_tick(std::unique_lock<std::mutex>& lock);
  wire::Object status_object() const;  // with mutex_ held
  void serve(const std::stop_token& token);
  void save_status(bool alive);

  const std::filesystem::path folder_;
  const DeskFacts facts_;
  os::UnixListener listener_;
  std::mutex mutex_;
  std::condition_variable ticked_;
  control::LoopStatus status_;
  std::optional<control::WindowRecord> window_;
  std::uint64_t ticks_ = 0;
  std::uint64_t saved_ticks_ = ~std::uint64_t{0};  // at which the status was written; none yet
  bool paused_ = false;
  bool rollback_ = false;
  std::map<std::uint64_t, control::Answer> answers_;
  std::jthread thread_;  // last: it uses all of the above
};

// A setting as a JSON object by knob name; a simplex as a list.
wire::Object setting_object(const Space& knobs, const Config& setting);

}  // namespace arqon::app
