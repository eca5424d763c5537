// The observation log: what a tuner was told, call by call, and the same told again.
// Format: docs/formats/audit.md, "The tape".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"
#include "arqon/wire/json.h"

namespace arqon::audit {

// -- lines, without their end

std::string clock_line(TimePoint now);
std::string wait_line(TimePoint until);
std::string observation_line(serving::Scope scope, const serving::Observation& observation);
std::string health_line(serving::Health health);
std::string apply_line(const Config& asked, serving::Scope scope, const Result<Config>& effective);
std::string status_line(std::string_view kind, const Status& status);
std::string renew_line(Duration lease, const Status& status);
std::string flag_line(std::string_view kind, bool flag);
std::string answer_line(std::uint64_t decision, int answer);

// What attach found, as far as a loop asks for it.
wire::Object capabilities_object(const serving::Capabilities& capabilities);
// kInvalidConfig with the key that is missing or of another type.
Result<serving::Capabilities> read_capabilities(const wire::Value& value);

// -- playing them

// Gives the lines out one by one, as long as they are what the loop asks for. One thread.
class Player {
 public:
  // `text` is whole lines and outlives it; a last line without its end is left out.
  explicit Player(std::string_view text) : text_(text) {}

  // The next line when it is of that kind; null when it is not, and from then on. `asked` says
  // what the loop wanted, for difference().
  const wire::Array* next(std::string_view kind, const std::string& asked);
  // Nothing more can be played: the tape has ended, or the loop did something else.
  bool over() const { return over_; }
  // "line 812: the run observed, now the loop reads the clock"; empty when the tape just ended.
  const std::string& difference() const { return difference_; }
  void differ(const std::string& what);
  std::uint64_t line() const { return line_; }
  bool at_end() const { return text_.find('\n') == std::string_view::npos; }

 private:
  std::string_view text_;
  std::uint64_t line_ = 0;
  wire::Value value_;
  bool over_ = false;
  std::string difference_;
};

class PlayedClock final : public Clock {
 public:
  explicit PlayedClock(Player& player) : player_(player) {}
  TimePoint now() const override;
  void wait_until(TimePoint t) override;

 private:
  Player& player_;
  mutable TimePoint last_{};
};

// An engine that says what one said before, and holds the loop to what it did then.
class PlayedEngine final : public serving::Engine {
 public:
  PlayedEngine(Player& player, serving::Capabilities capabilities)
      : player_(player), capabilities_(std::move(capabilities)) {}

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status confirm() override { return played("c", "confirms"); }
  Status renew(Duration lease) override;
  Status requalify() override { return played("q", "looks at the engine anew"); }

 private:
  Status played(std::string_view kind, const std::string& asked);

  Player& player_;
  serving::Capabilities capabilities_;
  serving::Observation last_;
};

// The flag or number that was answered then.
bool played_flag(Player& player, std::string_view kind, const std::string& asked);
int played_answer(Player& player, std::uint64_t decision);

}  // namespace arqon::audit
