#include "arqon/adapters/llamacpp/replica.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/adapters/llamacpp/preset.h"
#include "arqon/os/file.h"
#include "arqon/os/process.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::llamacpp {
namespace {

constexpr Duration kPoll = std::chrono::milliseconds(20);
constexpr std::size_t kPresetBytesMax = 1u << 20;
constexpr std::int64_t kContextRounding = 256;  // llama.cpp rounds each slot's context up to this

// Looks again and again; false when the time is over.
template <typename Condition>
bool wait_for(Clock& clock, Duration patience, Condition condition) {
  const TimePoint end = clock.now() + patience;
  while (!condition()) {
    if (clock.now() >= end) return false;
    clock.wait_until(clock.now() + kPoll);
  }
  return true;
}

std::string filled(std::string word,
                   const std::vector<std::pair<std::string, std::string>>& values) {
  for (const auto& [name, value] : values) {
    for (std::size_t at = 0; (at = word.find(name, at)) != std::string::npos; at += value.size()) {
      word.replace(at, name.size(), value);
    }
  }
  return word;
}

double seconds(Duration d) { return to_seconds(d); }

}  // namespace

Replica::Replica(ReplicaOptions options, std::string model, Patience patience)
    : options_(std::move(options)),
      model_(std::move(model)),
      patience_(patience),
      server_(options_.url, options_.preset.empty() ? "" : model_, patience.answer) {
  asked_.draft_max = options_.draft_max;
}

bool Replica::shows(const Slots& slots, const Flags& flags) const {
  if (slots.count != flags.slots || (flags.draft_max > 0 && !slots.speculative)) return false;
  const std::int64_t each = (flags.context + flags.slots - 1) / flags.slots;
  const bool split = slots.context + 1 >= flags.context / flags.slots &&
                     slots.context < each + kContextRounding;
  const bool shared = slots.context >= flags.context &&
                      slots.context < flags.context + kContextRounding;  // --kv-unified
  return split || shared;
}

Flags Replica::flags(const Slots& slots) const {
  Flags flags{.slots = slots.count,
              .context = asked_.context,
              .draft_max = slots.speculative ? asked_.draft_max : 0};
  if (flags.context == 0 || !shows(slots, flags)) flags.context = slots.context * slots.count;
  return flags;
}

Result<Flags> Replica::read_flags() {
  const auto slots = server_.slots();
  if (!slots) return tl::unexpected(slots.error());
  return flags(*slots);
}

Status Replica::change(const Flags& to, haproxy::Front& router, Clock& clock) {
  const auto place = router.place_of(options_.server);
  if (!place) return fail(ErrorCode::kInternal, "the replica has no server in HAProxy");
  const auto before = read_flags();
  if (!before) return tl::unexpected(before.error());
  if (const Status ok = router.drain(*place); !ok) return ok;
  if (const Status ok = empty(router, *place, clock); !ok) {
    (void)router.ready(*place);
    return ok;
  }
  const Status changed = restart_with(to, clock);
  if (changed) {
    asked_ = to;
  } else if (const Status back = restart_with(*before, clock); !back) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}; the old flags could not be put back either ({}): server {} stays "
                            "out of HAProxy",
                            changed.error().message, back.error().message, options_.server));
  } else {
    asked_ = *before;
  }
  if (const Status ok = router.ready(*place); !ok) return ok;
  if (const Status ok = wait_until_up(router, *place, clock); !ok) return ok;
  // The old flags are known to be in force again: it was a no, not a silence.
  if (!changed && changed.error().code == ErrorCode::kUnavailable) {
    return fail(ErrorCode::kRefused, changed.error().message);
  }
  return changed;
}

bool Replica::changed_for_us(const Slots& slots, const Flags& to) {
  if (!shows(slots, to)) return false;
  asked_ = to;
  return true;
}

// Open requests may end; nothing is stopped with work in it, because llama.cpp drops that work.
Status Replica::empty(haproxy::Front& router, std::size_t place, Clock& clock) {
  const bool emptied = wait_for(clock, patience_.drain, [&] {
    if (!router.is_idle(place).value_or(false)) return false;
    const auto slots = server_.slots();
    return slots && slots->busy == 0;
  });
  if (emptied) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("server {} still has work after {:.0f} s: nothing was changed",
                          options_.server, seconds(patience_.drain)));
}

Status Replica::restart_with(const Flags& flags, Clock& clock) {
  const Status ok = options_.preset.empty() ? run_restart(flags) : run_reload(flags);
  if (!ok) return ok;
  const bool shown = wait_for(clock, patience_.ready, [&] {
    if (!server_.healthy()) return false;
    const auto slots = server_.slots();
    return slots && shows(*slots, flags);
  });
  if (shown) return {};
  return fail(ErrorCode::kConflict,
              fmt::format("server {} was restarted and does not show {} slots with {} tokens of "
                          "context and speculation {} after {:.0f} s",
                          options_.server, flags.slots, flags.context,
                          flags.draft_max > 0 ? "on" : "off", seconds(patience_.ready)));
}

Status Replica::run_restart(const Flags& flags) {
  const std::vector<std::pair<std::string, std::string>> values{
      {"{slots}", std::to_string(flags.slots)},
      {"{ctx}", std::to_string(flags.context)},
      {"{draft_max}", std::to_string(flags.draft_max)},
      {"{url}", options_.url},
      {"{server}", options_.server}};
  std::vector<std::string> command;
  for (const std::string& word : options_.restart) command.push_back(filled(word, values));
  const auto ran = os::run(command, os::RunOptions{.environment = {}, .input = {},
                                                   .timeout = patience_.restart});
  if (!ran) return tl::unexpected(ran.error().with_context("the restart command"));
  if (ran->exit_code == 0) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("the restart command ended with {}: {}",
                                                   ran->exit_code, wire::shortened(ran->err, 300)));
}

Status Replica::run_reload(const Flags& flags) {
  const auto text = os::read_file(options_.preset, kPresetBytesMax);
  if (!text) return tl::unexpected(text.error());
  std::vector<std::pair<std::string, std::string>> values{
      {"parallel", std::to_string(flags.slots)}, {"ctx-size", std::to_string(flags.context)}};
  if (flags.draft_max > 0 || asked_.draft_max > 0) {
    values.emplace_back("spec-draft-n-max", std::to_string(flags.draft_max));
  }
  const auto changed = with_values(*text, model_, values);
  if (!changed) return tl::unexpected(changed.error());
  if (const Status ok = os::write_file(options_.preset, *changed); !ok) return ok;
  const Status reloaded = server_.reload(patience_.restart);
  if (!reloaded) (void)os::write_file(options_.preset, *text);
  return reloaded;
}

// HAProxy's own check has to pass before the next replica may be taken out.
Status Replica::wait_until_up(haproxy::Front& router, std::size_t place, Clock& clock) {
  const bool up = wait_for(clock, patience_.ready, [&] {
    const auto backend = router.runtime().backend(router.options().backend);
    return backend && place < backend->servers.size() && backend->servers[place].up();
  });
  if (up) return {};
  return fail(ErrorCode::kUnavailable, fmt::format("HAProxy does not see server {} up again after "
                                                   "{:.0f} s",
                                                   options_.server, seconds(patience_.ready)));
}

}  // namespace arqon::adapters::llamacpp
