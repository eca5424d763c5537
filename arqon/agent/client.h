// The tuner's side of an agent: an engine whose writes go through the agent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"
#include "arqon/wire/json.h"

namespace arqon::agent {

struct ClientOptions {
  std::filesystem::path socket;
  Duration lease = std::chrono::seconds(10);  // of each write
  // How a line gets to the agent and its answer back. Empty: through `socket`.
  std::function<Result<std::string>(const std::string& line, Duration patience)> transport;
  // Called when nobody answers: starts the agent again. Empty: nobody does.
  std::function<Status()> revive;
};

// apply, confirm, renew and requalify go to the agent; what is observed comes from `local`, which
// outlives it. While the agent does not answer the engine counts as degraded: nothing is moved.
// Thread rule of `local`.
class Client final : public serving::Engine {
 public:
  // kUnavailable when no agent answers, kConflict when it looks after other knobs.
  static Result<std::unique_ptr<Client>> connect(serving::Engine& local, ClientOptions options);

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return local_.capabilities(); }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status confirm() override;
  Status renew(Duration lease) override;
  Status requalify() override;

  // Nothing is open and nobody will ask again: an agent that was started for us may end.
  Status release();

 private:
  Client(serving::Engine& local, ClientOptions options)
      : local_(local), options_(std::move(options)), space_(local.capabilities().knobs) {}

  Status greet();
  Result<wire::Value> ask(const wire::Object& request);
  Result<wire::Value> ask_once(const wire::Object& request, Duration patience) const;
  Duration patience() const;

  serving::Engine& local_;
  ClientOptions options_;
  Space space_;
  std::uint64_t generation_ = 0;
  bool reached_ = true;
  // What the agent has read back last: a rounding engine shows something near it.
  Config shown_;
};

// One question to the agent behind `socket`; its refusals come back as the errors they name.
Result<wire::Value> ask(const std::filesystem::path& socket, const wire::Object& request,
                        Duration patience);

}  // namespace arqon::agent
